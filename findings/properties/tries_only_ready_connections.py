"""A thread that waits for many connections reads only those that are ready: it does not try them all after each wait."""

from __future__ import annotations

import collections
from collections.abc import Sequence
from dataclasses import dataclass

from findings.properties.property import Cost, Observation, Place, Property, broken, held, not_shown, place_of
from findings.view import Run
from probes.kernel import syscalls
from probes.measure.result import Call, Thread
from probes.words import count

_MANY, _SHARE = 20, 0.25  # reads of one thread, and their share of all its reads
_MOVING = syscalls.READS | syscalls.WRITES


@dataclass(frozen=True)
class _Tried:
    """The reads of one thread with a multiplexer, on all its descriptors."""

    thread: Thread
    waits: int
    reads: int
    again: tuple[Call, ...]  # reads that got EAGAIN, on the descriptors with too many of them
    number: int  # reads beyond those that a right loop makes

    @property
    def too_many(self) -> bool:
        return self.number > max(_MANY, _SHARE * self.reads)


def observe(run: Run) -> Observation:
    """Counts, for each descriptor, the reads that got EAGAIN, and the calls that moved data.

    A right loop may read until EAGAIN: then each read, or each write, that moves data explains one EAGAIN. The count does
    not use the order of the calls, because the reads of a burst lie among other calls.
    """
    threads = {thread.serial: thread for thread in run.result.threads}
    accepted = {(threads[call.thread].pid, call.result) for call in run.connections}
    seen = [
        tried
        for serial, calls in run.calls_of.items()
        if (tried := _tried(threads[serial], [call for call in calls if _counts(call, threads[serial].pid, accepted)]))
    ]
    if not seen:
        return not_shown("no thread with a multiplexer read from a connection")
    wrong = [tried for tried in seen if tried.too_many]
    reads, number = sum(tried.reads for tried in seen), sum(tried.number for tried in seen)
    if not wrong:
        return held(f"{number:,} of {count(reads, 'read')} repeated a read that had got EAGAIN")
    worst = max(wrong, key=lambda tried: tried.number)
    return broken(
        f"after {count(worst.waits, 'wait')}, thread {worst.thread.name} made {count(worst.number, 'read')} of connections that"
        f" were not ready: a read had got EAGAIN, and no data had come since ({worst.number:,} of its"
        f" {count(worst.reads, 'read')})",
        places=map(_place, wrong),
    )


def _counts(call: Call, process: int, accepted: set[tuple[int, int | None]]) -> bool:
    """Is it a wait, or a read or write of a connection? A program may poll a pipe of its own in each turn."""
    return call.name in syscalls.MULTIPLEXERS or (call.name in _MOVING and (process, call.fd) in accepted)


def _tried(thread: Thread, calls: Sequence[Call]) -> _Tried | None:
    waits = sum(call.count for call in calls if call.name in syscalls.MULTIPLEXERS)
    again: dict[int, list[Call]] = collections.defaultdict(list)
    got: collections.Counter[int] = collections.Counter()
    sent: collections.Counter[int] = collections.Counter()
    reads = 0
    for call in calls:
        if call.fd is None or call.name not in _MOVING:
            continue  # a wait
        reads += call.count if call.name in syscalls.READS else 0
        if call.errno == "EAGAIN" and call.name in syscalls.READS:
            again[call.fd].append(call)
        elif (call.result or 0) > 0:
            (got if call.name in syscalls.READS else sent)[call.fd] += call.count
    if not waits or not reads:
        return None
    beyond = {fd: sum(call.count for call in own) - max(got[fd], sent[fd]) - 1 for fd, own in again.items()}
    kept = tuple(call for fd, own in again.items() if beyond[fd] > 0 for call in own)
    return _Tried(thread, waits, reads, kept, sum(number for number in beyond.values() if number > 0))


def _place(tried: _Tried) -> Place:
    first = min(tried.again, key=lambda call: call.enter)
    cost = Cost(ns=sum(call.total for call in tried.again), calls=tried.number)
    return place_of(tried.thread, first.name, first.fd, first.enter, cost)


TRIES_ONLY_READY_CONNECTIONS = Property(
    id="tries-only-ready-connections",
    statement="a thread that waits for many connections reads only those that are ready",
    fault="a thread reads connections that are not ready",
    remedy="after the wait, serve only what it reported: FD_ISSET for select, revents for poll, the events of epoll_wait",
    observe=observe,
    lab="poll",
)
