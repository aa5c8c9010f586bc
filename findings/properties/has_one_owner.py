"""A connection belongs to one thread at a time, and no call uses its descriptor after the close."""

from __future__ import annotations

import bisect
import collections
import itertools
from collections.abc import Iterable

from findings.properties.property import Cost, Gravity, Observation, Property, broken, held, not_shown, place_of
from findings.view import Run
from probes.kernel import syscalls
from probes.measure.result import Call
from probes.words import count, times

_OF_SOCKETS = {"recvfrom", "recvmsg", "recvmmsg", "sendto", "sendmsg", "sendmmsg"}
_NO_SOCKET = {"EBADF", "ENOTSOCK"}


def observe(run: Run) -> Observation:
    """Looks for reads of one connection by two threads at the same time, and for calls on descriptors that are not sockets.

    A socket for datagrams may have many readers. The bytes of a connection have an order: two readers would each get a part.
    """
    connections = {(call.thread, call.result) for call in run.connections}
    if not connections:
        return not_shown("no call of accept returned a connection")
    stale = [call for call in run.result.calls if call.name in _OF_SOCKETS and call.errno in _NO_SOCKET]
    shared = _at_the_same_time(run)
    if not stale and not shared:
        return held(f"{count(len(connections), 'connection')}: no connection was read by two threads at the same time")
    words = []
    if shared:
        first, second = shared[0]
        words.append(
            f"{count(len(shared), 'read')} of a connection began while another thread read from it (threads"
            f" {_tid(run, first)} and {_tid(run, second)}, descriptor {first.fd})"
        )
    if stale:
        errors = collections.Counter(f"{call.name} got {call.errno}" for call in stale)
        named = ", ".join(f"{what} {times(number)}" for what, number in errors.most_common())
        words.append(f"calls used descriptors that were closed, or that are not sockets: {named}")
    threads = {thread.serial: thread for thread in run.result.threads}
    places = [
        place_of(threads[call.thread], call.name, call.fd, call.enter, Cost(calls=call.count))
        for call in (*(second for _, second in shared), *stale)
    ]
    return broken("; ".join(words), places=places)


def _at_the_same_time(run: Run) -> list[tuple[Call, Call]]:
    """The reads of a connection that began before another thread of the process had ended its read of it."""
    processes = {thread.serial: thread.pid for thread in run.result.threads}
    accepted = collections.defaultdict[tuple[int, int | None], list[int]](list)
    for call in run.connections:
        accepted[processes[call.thread], call.result].append(call.exit)
    reads: dict[tuple[int, int | None, int], list[Call]] = collections.defaultdict(list)
    for call in run.result.calls:
        key = processes[call.thread], call.fd
        if call.name in syscalls.READS and call.count == 1 and key in accepted:
            reads[*key, bisect.bisect_right(accepted[key], call.enter)].append(call)
    return [pair for (_, _, number), own in reads.items() if number for pair in _overlapping(own)]


def _overlapping(calls: Iterable[Call]) -> list[tuple[Call, Call]]:
    """Pairs of calls by different threads: the second call began during the first, and both calls slept."""
    ordered = sorted((call for call in calls if call.sleeps), key=lambda call: call.enter)
    return [(first, second) for first, second in itertools.pairwise(ordered)
            if first.thread != second.thread and second.enter < first.exit]  # fmt: skip


def _tid(run: Run, call: Call) -> int:
    return next(thread.tid for thread in run.result.threads if thread.serial == call.thread)


HAS_ONE_OWNER = Property(
    id="has-one-owner",
    statement="a connection belongs to one thread at a time, and its descriptor is not used after the close",
    fault="two threads use one connection, or a call uses a descriptor that was closed",
    remedy="give each connection to one thread, which closes it; after pthread_cond_wait check the queue again (while, not if)",
    observe=observe,
    gravity=Gravity.LOST,
)
