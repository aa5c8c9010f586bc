"""Data that a read left in its socket: how much, for how long, and for how long the thread slept in a multiplexer meanwhile."""

from __future__ import annotations

import bisect
import collections
from dataclasses import dataclass

from findings.view import Run
from probes.kernel import syscalls
from probes.measure.result import Call


@dataclass(frozen=True)
class LeftUnread:
    """What one read left, until the next read of the socket began or the thread ended."""

    socket: int
    bytes: int
    ns: int
    slept: int  # ns of this time in which the thread slept in a multiplexer
    waits: int  # calls of a multiplexer in this time


def left_unread(run: Run) -> list[LeftUnread]:
    """An entry for each read with data that did not empty its socket, in order."""
    ends = {thread.serial: thread.end for thread in run.result.threads}
    waits: dict[int, list[Call]] = collections.defaultdict(list)
    for call in run.result.named(*syscalls.MULTIPLEXERS):
        waits[call.thread].append(call)
    begins = {thread: [call.enter for call in calls] for thread, calls in waits.items()}
    following: dict[int, int] = {}  # of each socket: when its next read begins
    found = []
    for call in reversed(run.reads):
        if not call.socket:
            continue
        if call.bytes and not call.drained:
            until = following.get(call.socket, ends[call.thread])
            mine = waits[call.thread]
            first = bisect.bisect_left(begins.get(call.thread, []), call.exit)
            last = bisect.bisect_left(begins.get(call.thread, []), until)
            slept = sum(
                max(0, min(sleep.woken, until) - max(sleep.off, call.exit))
                for wait in mine[first:last]
                for sleep in wait.sleeps
            )
            found.append(LeftUnread(call.socket, call.unread, until - call.exit, slept, last - first))
        following[call.socket] = call.enter
    return found[::-1]
