"""Data that a read left in its socket: how much, for how long, and for how long the thread slept in its wait meanwhile."""

from __future__ import annotations

import bisect
import collections
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from findings.once import once
from findings.spans import overlap
from findings.view import Run
from probes.kernel import syscalls
from probes.measure.result import Call

_Span = tuple[float, float]


@dataclass(frozen=True)
class LeftUnread:
    """What one read left, until the next read of the socket began, the socket was closed, or the thread ended."""

    socket: int
    bytes: int
    ns: int
    slept: int  # ns of this time in which the thread slept in its wait, with no unsent data of its own to wait for
    waits: int  # for events: of a multiplexer, for signals or completions
    thread: int = 0  # that read last
    since: int = 0  # the end of that read, ns


@once
def left_unread(run: Run) -> list[LeftUnread]:
    """An entry for each read with data that did not empty its socket, in order.

    A thread whose send found no room may leave the rest unread until there is room: this slows the client down.
    """
    ends = {thread.serial: (thread.pid, thread.end) for thread in run.result.threads}
    asleep = _Asleep(run)
    no_room = without_room(run)
    following: dict[int, int] = {}  # of each socket: when its next read begins
    closed: dict[tuple[int, int | None], int] = {}  # of each process and descriptor: when it is next closed
    reads = {id(call) for call in run.reads if call.socket}
    found = []
    for call in reversed(run.result.calls):
        process, end = ends[call.thread]
        if call.name == "close":
            closed[process, call.fd] = call.enter
        if id(call) not in reads or not call.socket:
            continue
        if call.bytes and not call.drained:
            until = min(following.get(call.socket, end), closed.get((process, call.fd), end))
            spans = list(_without((call.exit, until), no_room.get((call.thread, call.fd), [])))
            waits = asleep.waits(call.thread, call.exit, until)
            slept = sum(_common((sleep.off, sleep.woken), spans) for wait in waits for sleep in wait.sleeps)
            found.append(
                LeftUnread(
                    socket=call.socket,
                    bytes=call.unread,
                    ns=until - call.exit,
                    slept=int(slept),
                    waits=len(waits),
                    thread=call.thread,
                    since=call.exit,
                )
            )
        following[call.socket] = call.enter
    return found[::-1]


class _Asleep:
    """The waits of each thread, to be looked up by time."""

    def __init__(self, run: Run) -> None:
        self._waits: dict[int, list[Call]] = collections.defaultdict(list)
        for call in run.result.named(*syscalls.LOOP_WAITS):
            self._waits[call.thread].append(call)
        self._begins = {thread: [call.enter for call in calls] for thread, calls in self._waits.items()}

    def waits(self, thread: int, begin: int, end: int) -> list[Call]:
        """Those that began in this time."""
        begins = self._begins.get(thread, [])
        return self._waits[thread][bisect.bisect_left(begins, begin) : bisect.bisect_left(begins, end)]


@once
def without_room(run: Run) -> dict[tuple[int, int | None], list[_Span]]:
    """For each thread and descriptor: from a write that sent less than it was given, or EAGAIN, until a write that sent all."""
    spans: dict[tuple[int, int | None], list[_Span]] = collections.defaultdict(list)
    for call in run.result.named("write", "sendto"):
        mine = spans[call.thread, call.fd]
        unsent = call.errno == "EAGAIN" or (call.result is not None and len(call.args) > 2 and 0 <= call.result < call.args[2])
        if mine and mine[-1][1] == math.inf:
            mine[-1] = mine[-1][0], call.enter
        if unsent:
            mine.append((call.exit if call.histogram is None else call.enter, math.inf))
    return spans


def _without(span: _Span, others: list[_Span]) -> Iterator[_Span]:
    """The parts of the span that lie in none of the others, which are in order."""
    begin, end = span
    for other in others[max(bisect.bisect_right(others, (begin, math.inf)) - 1, 0) :]:
        if other[0] >= end:
            break
        if other[1] > begin:
            yield begin, max(begin, other[0])
            begin = other[1]
    yield begin, max(begin, end)


def _common(span: _Span, others: Iterable[_Span]) -> float:
    return sum(overlap(*span, *other) for other in others)
