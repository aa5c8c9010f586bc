"""No message stays unread while its thread reads other connections again and again."""

from __future__ import annotations

import bisect
import collections
from dataclasses import dataclass

from findings.properties.property import Cost, Gravity, Observation, Property, broken, held, not_shown, place_of
from findings.view import Run
from probes.kernel import syscalls
from probes.measure.result import Call, Message
from probes.words import count, ms

_MANY = 100  # reads beside a fair server's round, which reads each connection once or twice; a drained burst has a few dozen


@dataclass(frozen=True)
class Overtaken:
    """The reads of other connections that a thread began and ended while one of its messages was unread."""

    reads: int
    unread: int  # ns
    message: Message | None = None


def observe(run: Run) -> Observation:
    """Counts a thread's reads of other connections, with data and without, while one of its messages was unread."""
    if len({message.socket for message in run.result.messages}) < 2:
        return not_shown("fewer than 2 connections had messages")
    most = most_overtaken(run)
    evidence = f"at most {count(most.reads, 'read')} of other connections while data was unread"
    evidence += f", for {ms(most.unread)}" if most.reads else ""
    connections = len({message.socket for message in run.result.messages})
    if most.reads <= _MANY + 2 * connections or most.message is None:
        return held(evidence)
    thread = next(thread for thread in run.result.threads if thread.serial == most.message.thread)
    cost = Cost(ns=most.unread, calls=most.reads, bytes=most.message.bytes)
    return broken(evidence, places=[place_of(thread, fd=most.message.fd, since=most.message.ready, cost=cost)])


def most_overtaken(run: Run) -> Overtaken:
    """The message during which its thread made most reads of other connections; a burst counts each of its calls."""
    messages: dict[int, list[Message]] = collections.defaultdict(list)
    for message in run.result.messages:
        messages[message.thread].append(message)
    worst = Overtaken(0, 0)
    for thread, own in messages.items():
        reads = [call for call in run.calls_of.get(thread, []) if call.name in syscalls.READS]
        for message, number in _reads_within(reads, own):
            if number > worst.reads:
                worst = Overtaken(number, message.read - message.ready, message)
    return worst


def _reads_within(reads: list[Call], messages: list[Message]) -> list[tuple[Message, int]]:
    """For each message the reads that began after its arrival and ended before its own first read.

    Bursts overlap, so that no single order is enough: the messages and the reads are taken from the last to the first, and a
    Fenwick tree has the number of the reads taken so far by the place of their ends.
    """
    ends = sorted(call.exit for call in reads)
    tree = [0] * (len(ends) + 1)
    rest = sorted(reads, key=lambda call: call.enter)
    found = []
    for message in sorted(messages, key=lambda message: message.ready, reverse=True):
        while rest and rest[-1].enter >= message.ready:
            call = rest.pop()
            at = bisect.bisect_left(ends, call.exit) + 1
            while at < len(tree):
                tree[at] += call.count
                at += at & -at
        at, number = bisect.bisect_right(ends, message.read), 0
        while at:
            number += tree[at]
            at -= at & -at
        found.append((message, number))
    return found


SERVES_IN_TURN = Property(
    id="serves-in-turn",
    statement="all connections are served in turn",
    fault="a connection waits while others are read again and again",
    remedy="read each ready connection once, or at most a fixed number of bytes, before the next connection's turn",
    observe=observe,
    gravity=Gravity.LATE,
    lab="edge_starvation",
)
