"""No thread goes to sleep while it knows of unread data, and no socket is left with unread data at the end."""

from __future__ import annotations

import bisect
import collections
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from findings.descriptors.unread import LeftUnread, left_unread
from findings.properties.property import Cost, Gravity, Observation, Place, Property, broken, held, not_shown, place_of
from findings.view import Run
from probes.context import LabRun
from probes.kernel import syscalls
from probes.measure.result import Call, Message
from probes.words import count, ms

# In a program that is not known, a thread may sleep beside data for a moment on purpose: shorter sleeps are no finding.
_LONG_NS = 20_000_000
_ACCEPT = "accept new connections while others are open: wait for the listener and for all connections in the same call"


def observe(run: Run) -> Observation:
    """Checks the bytes that each read left, and the sleeps after which a message was not read, or only a part of it."""
    reads = [call for call in run.reads if call.socket and call.bytes]
    if not reads:
        return not_shown("no call read data from a socket")
    rests = left_unread(run)
    lab = isinstance(run.result.context, LabRun)
    least = 1 if lab else _LONG_NS
    left = [rest for rest in rests if rest.slept >= least]
    accepts = _accepts(run)
    accepted = {
        (message.socket, message.ready): _accepted(accepts.get((message.thread, message.fd), []), message)
        for message in run.result.messages
    }
    waits = _waits(run)
    late = [
        (message, asleep)
        for message in run.result.messages
        if (asleep := _slept_in_between(waits, message, 0 if lab else accepted[message.socket, message.ready])) >= least
    ]
    if not left and not late:
        return held(
            f"{len(rests):,} of {count(len(reads), 'read')} left data in the socket; no thread slept while its data was unread"
        )
    words = _words(reads, left, late)
    before = sum(1 for message, _ in late if message.ready < accepted[message.socket, message.ready])
    if before:
        words.append(f"{before:,} of these messages came before their connection was accepted")
    remedy = _ACCEPT if before and before == len(late) and not left else ""
    return broken("; ".join(words), places=_places(run, left, late), remedy=remedy)


def _words(reads: Sequence[Call], left: Sequence[LeftUnread], late: Sequence[tuple[Message, int]]) -> list[str]:
    """What was unread, and for how long a thread slept meanwhile."""
    words = []
    if left:
        longest = max(left, key=lambda rest: rest.slept)
        words.append(
            f"{len(left):,} of {count(len(reads), 'read')} left data in the socket, and the thread then slept in its wait,"
            f" for up to {ms(longest.slept)} with {longest.bytes:,} unread bytes"
            f" ({count(len({rest.socket for rest in left}), 'socket')})"
        )
    if late:
        words.append(
            f"{count(len(late), 'message')} had unread data while the thread slept in its wait, up to"
            f" {ms(max(asleep for _, asleep in late))}"
        )
    return words


def _places(run: Run, left: Sequence[LeftUnread], late: Sequence[tuple[Message, int]]) -> list[Place]:
    """Each thread that slept while data was unread: how long, how much data, and since when."""
    costs: dict[int, Cost] = collections.defaultdict(Cost)
    since: dict[int, int] = {}
    for rest in left:
        costs[rest.thread] += Cost(ns=rest.slept, calls=1, bytes=rest.bytes)
        since[rest.thread] = min(rest.since, since.get(rest.thread, rest.since))
    for message, asleep in late:
        if not any(rest.socket == message.socket and rest.since <= message.copied for rest in left):
            costs[message.thread] += Cost(ns=asleep, bytes=message.bytes)
        since[message.thread] = min(message.ready, since.get(message.thread, message.ready))
    threads = {thread.serial: thread for thread in run.result.threads}
    fds = {(call.thread, call.socket): call.fd for call in run.reads}
    sockets = {rest.thread: rest.socket for rest in left} | {message.thread: message.socket for message, _ in late}
    return [
        place_of(threads[serial], fd=fds.get((serial, sockets[serial])), since=since[serial], cost=cost)
        for serial, cost in costs.items()
    ]


class _Waits(NamedTuple):
    """The waits of one thread: their places among its calls, and when they began."""

    calls: Sequence[Call]
    places: list[int]
    begins: list[int]

    def of(self, since: int, until: int) -> list[int]:
        """The places of the waits that began after `since` and not after `until`."""
        return self.places[bisect.bisect_right(self.begins, since) : bisect.bisect_right(self.begins, until)]


def _waits(run: Run) -> dict[int, _Waits]:
    """The waits of each thread that made any call."""
    found = {}
    for thread, calls in run.calls_of.items():
        places = [at for at, call in enumerate(calls) if call.name in syscalls.LOOP_WAITS]
        found[thread] = _Waits(calls, places, [calls[at].enter for at in places])
    return found


def _slept_in_between(waits: Mapping[int, _Waits], message: Message, accepted: int) -> int:
    """How long the message's thread slept in its wait while the message was unread, or not read to its end, ns.

    The last wait before the first read is the one that reported the message: it may have begun at the moment of its arrival.
    Until its connection is accepted, a message of a program that is not known waits for a free thread, and not for its reader.
    A server that waits for room in the connection's send buffer does not read more from it in the meantime, which is no fault.
    """
    own = waits.get(message.thread)
    if own is None:
        return 0
    calls = own.calls
    unread = own.of(max(message.ready, accepted), message.read)[:-1]
    partly_read = own.of(message.read, message.copied - 1)
    asleep = [at for at in (*unread, *partly_read) if calls[at].sleeps]
    return sum(calls[at].wait for at in asleep if not _has_unsent(calls, at, message.fd))


def _accepts(run: Run) -> dict[tuple[int, int | None], list[Call]]:
    """The accepts of each thread, by the descriptor that they returned."""
    found: dict[tuple[int, int | None], list[Call]] = collections.defaultdict(list)
    for call in run.connections:
        found[call.thread, call.result].append(call)
    return found


def _accepted(accepts: Sequence[Call], message: Message) -> int:
    """When the message's thread accepted its connection, ns; 0 if it did not."""
    before = bisect.bisect_left(accepts, message.read, key=_enter)
    return accepts[before - 1].exit if before else 0


def _has_unsent(calls: Sequence[Call], before: int, fd: int) -> bool:
    """Did the last write to the descriptor, before the call at that place, leave data unsent?"""
    writes = (calls[at] for at in range(before - 1, -1, -1) if calls[at].fd == fd and calls[at].name in syscalls.WRITES)
    if (last := next(writes, None)) is None:
        return False
    return last.errno == "EAGAIN" or (len(last.args) > 2 and 0 <= (last.result or 0) < last.args[2])


def _enter(call: Call) -> int:
    return call.enter


LEAVES_NO_DATA_UNREAD = Property(
    id="leaves-no-data-unread",
    statement="no data stays unread in a socket while its thread sleeps",
    fault="data stayed unread in a socket while its thread slept",
    remedy="read until EAGAIN before the next wait; edge-triggered epoll reports an arrival only once",
    observe=observe,
    gravity=Gravity.LATE,
    needs_all=True,
    lab="edge_undrained",
)
