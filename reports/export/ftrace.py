"""The sleeps of a run as the scheduler's events of ftrace: Perfetto makes each thread's states and its wakers from them.

A sleep is three events: sched_switch away from the thread, sched_waking by the waker, and sched_switch to the thread. Perfetto
orders the switches by CPU, and a recording has no CPU numbers: so the threads that ran at the same time get lanes, and "CPU 2"
is the third lane. A thread keeps its lane where that is free.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from findings.sleeps.causes import Cause
from probes.measure.queues import Queue
from probes.measure.result import Call, Sleep, Thread
from probes.words import visible
from reports.export.bits import is_id

IDLE = 0  # the id of the idle task of each CPU
PRIORITY = 120  # of an ordinary task (MAX_RT_PRIO + 20); the recording has none
RUNNING, INTERRUPTIBLE, UNINTERRUPTIBLE, DEAD = 0, 1, 2, 16  # prev_state of sched_switch (include/linux/sched.h)
SOFTIRQ = 0x10  # TRACE_FLAG_SOFTIRQ (include/linux/trace_events.h): the waker is the interrupt, not the interrupted task
_DEVICE = {Queue.DISK, Queue.PAGE, Queue.WRITEBACK, Queue.JOURNAL}


@dataclass(frozen=True, slots=True)
class Task:
    """A task as an event names it."""

    tid: int
    name: str


_IDLE = Task(IDLE, "swapper")


@dataclass(frozen=True, slots=True)
class Switch:
    """sched_switch on a lane."""

    at: int
    before: Task
    state: int  # of the task before
    after: Task


@dataclass(frozen=True, slots=True)
class Waking:
    """sched_waking: `by` ran at the time; `interrupt`: it is not the cause. `lane` is that of the woken task."""

    at: int
    task: Task
    by: int
    interrupt: bool
    lane: int


@dataclass(slots=True)
class _Stay:
    """A thread on a CPU, as far as the recording shows: from one sleep to the next. `woken`: the sleep before."""

    task: Task
    begin: int
    end: int
    state: int
    woken: Sleep | None
    lane: int = 0


def lanes(
    threads: Iterable[Thread], calls_of: Mapping[int, Sequence[tuple[Call, int]]], cause: Callable[[Sleep], Cause]
) -> list[list[Switch | Waking]]:
    """The events of each lane in order. `calls_of`: the calls of each thread in order, each with its end; all were recorded."""
    stays = [
        stay
        for thread in threads
        if not thread.kernel_worker and is_id(thread.host_tid)
        for stay in _stays(thread, calls_of.get(thread.serial, ()))
    ]
    found: list[list[Switch | Waking]] = [[] for _ in range(_assign(stays))]
    before: dict[int, _Stay] = {}
    for stay in sorted(stays, key=lambda stay: stay.begin):
        found[stay.lane] += _to(stay, before.get(stay.lane))
        if stay.woken is not None and stay.woken.woken > stay.woken.off:  # else Perfetto takes the wake-up for spurious
            found[stay.lane].append(_waking(stay, stay.woken, cause))
        before[stay.lane] = stay
    for lane, last in before.items():
        found[lane].append(Switch(last.end, last.task, last.state, _IDLE))
    for events in found:
        events.sort(key=lambda event: event.at)
    return found


def _stays(thread: Thread, calls: Iterable[tuple[Call, int]]) -> Iterator[_Stay]:
    task, begin, woken = Task(thread.host_tid, visible(thread.name)), thread.start, None
    for call, end in calls:
        for sleep in call.sleeps:
            if sleep.on > end:
                break
            state = UNINTERRUPTIBLE if sleep.queue in _DEVICE else INTERRUPTIBLE
            yield _Stay(task, begin, max(sleep.off, begin), state, woken)
            begin, woken = max(sleep.on, begin), sleep
    yield _Stay(task, begin, max(thread.end, begin), DEAD if thread.ended else RUNNING, woken)


def _assign(stays: list[_Stay]) -> int:
    """Gives each stay a lane that is free for all of it: the thread's last lane, or else the lowest. The number of lanes."""
    free: list[int] = []
    ends: list[tuple[int, int]] = []  # of the stays under way: (end, lane)
    last: dict[int, int] = {}
    number = 0
    for stay in sorted(stays, key=lambda stay: (stay.begin, stay.end)):
        while ends and ends[0][0] <= stay.begin:
            heapq.heappush(free, heapq.heappop(ends)[1])
        wanted = last.get(stay.task.tid)
        if wanted in free:
            free.remove(wanted)
            heapq.heapify(free)
            stay.lane = wanted
        elif free:
            stay.lane = heapq.heappop(free)
        else:
            stay.lane, number = number, number + 1
        last[stay.task.tid] = stay.lane
        heapq.heappush(ends, (stay.end, stay.lane))
    return number


def _to(stay: _Stay, before: _Stay | None) -> Iterator[Switch]:
    """The switches by which the lane comes to this stay: past the idle task, if the lane was free in between."""
    if before is None:
        yield Switch(stay.begin, _IDLE, RUNNING, stay.task)
    elif before.end < stay.begin:
        yield Switch(before.end, before.task, before.state, _IDLE)
        yield Switch(stay.begin, _IDLE, RUNNING, stay.task)
    else:
        yield Switch(stay.begin, before.task, before.state, stay.task)


def _waking(stay: _Stay, sleep: Sleep, cause: Callable[[Sleep], Cause]) -> Waking:
    by = sleep.waker.tid if sleep.waker and is_id(sleep.waker.tid) else IDLE
    found = cause(sleep)
    return Waking(sleep.woken, stay.task, by, found.thread is None and not found.task, stay.lane)
