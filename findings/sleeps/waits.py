"""Which thread waits for which: the followed thread that ended a sleep, and the sleeps between two threads added up."""

from __future__ import annotations

import bisect
import collections
from collections.abc import Iterable
from dataclasses import dataclass

from findings.view import Run
from probes.measure.frames import of_interrupt
from probes.measure.result import Call, Sleep, Thread
from probes.measure.wakers import Link, Waker, sent_by_waker

_BY_NO_TASK = {Link.TIMER, Link.DISK}  # a time, or a device, ended the sleep: the task that was running is not the cause

# A thread's record ends in sched_process_exit; it wakes its parent a little later (kernel/exit.c, do_exit: exit_notify).
_ENDING_NS = 50_000_000


class Tasks:
    """The followed threads by their id in the kernel, which uses an id again after a thread has ended."""

    def __init__(self, threads: Iterable[Thread]) -> None:
        self._of: dict[int, list[Thread]] = collections.defaultdict(list)
        self._for_itself: dict[int, tuple[Waker, bool]] = {}  # by the object's id, as its hash covers all frames of a stack
        for thread in sorted(threads, key=lambda thread: thread.start):
            self._of[thread.host_tid].append(thread)

    def at(self, tid: int, moment: int) -> Thread | None:
        """The followed thread that had this id at that time, ns."""
        found = self._of.get(tid, [])
        index = bisect.bisect_right(found, moment, key=lambda thread: thread.start) - 1
        return found[index] if index >= 0 and moment <= found[index].end + _ENDING_NS else None

    def waker(self, sleep: Sleep) -> Thread | None:
        """The followed thread that ended the sleep; None: another task, a time, a device, or not known.

        An interrupt that ends a sleep runs on top of any task. On loopback the sender's own task delivers its packet.
        """
        waker = sleep.waker
        if waker is None:
            return None
        if id(waker) not in self._for_itself:
            self._for_itself[id(waker)] = waker, runs_for_itself(waker)
        return self.at(waker.tid, sleep.woken) if self._for_itself[id(waker)][1] else None


def runs_for_itself(waker: Waker) -> bool:
    """Did the task that was running end the sleep by its own call? False: it was interrupted, and is not the cause."""
    if not _BY_NO_TASK.isdisjoint(waker.chain) or len(of_interrupt(waker.stack)) < len(waker.stack):
        return False
    return not waker.by_packet or sent_by_waker(waker.stack)


@dataclass(frozen=True)
class WaitsFor:
    """All sleeps of one thread, in one call on one queue, that one followed thread ended."""

    waiter: Thread
    waker: Thread | None  # None: no followed thread
    call: str
    queue: str
    chain: str  # of the wake-ups, in words; the most frequent
    count: int
    ns: int
    longest: int


def waits_for(run: Run) -> list[WaitsFor]:
    """Who waits for whom, the longest time in all first. Sleeps outside calls are left out."""
    tasks = Tasks(run.result.threads)
    threads = {thread.serial: thread for thread in run.result.threads}
    groups: dict[tuple[int, int | None, str, str], list[Sleep]] = collections.defaultdict(list)
    for call, sleep in sleeps_in_calls(run.result.calls):
        waker = tasks.waker(sleep)
        groups[call.thread, waker.serial if waker else None, call.name, sleep.queue].append(sleep)
    found = [
        WaitsFor(
            waiter=threads[waiter],
            waker=None if waker is None else threads[waker],
            call=name,
            queue=queue,
            chain=_chain(group),
            count=len(group),
            ns=sum(sleep.wait for sleep in group),
            longest=max(sleep.wait for sleep in group),
        )
        for (waiter, waker, name, queue), group in groups.items()
    ]
    return sorted(found, key=lambda waits: -waits.ns)


def _chain(sleeps: Iterable[Sleep]) -> str:
    chains = collections.Counter(sleep.waker.words for sleep in sleeps if sleep.waker)
    return chains.most_common(1)[0][0] if chains else ""


def sleeps_in_calls(calls: Iterable[Call]) -> list[tuple[Call, Sleep]]:
    """Each sleep with its call, in the order of the calls."""
    return [(call, sleep) for call in calls for sleep in call.sleeps]
