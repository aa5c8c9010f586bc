"""What ended a sleep: a followed thread, another task of the machine, or an interrupt, which has no task as its cause."""

from __future__ import annotations

import collections
from collections.abc import Container, Iterable
from dataclasses import dataclass

from probes.measure.frames import of_interrupt
from probes.measure.result import Sleep, Thread
from probes.measure.rows import SleepSum
from probes.measure.wakers import Link, sent_by_waker

# The ways of a wake-up that begin without a task: the task that was running then is not the cause.
_WITHOUT_A_TASK = {Link.TIMER, Link.DISK}


@dataclass(frozen=True, slots=True)
class Cause:
    """`thread`: the followed thread's serial number; `task`: the name of a task that was not followed.

    Neither of them: an interrupt ended the sleep, and `chain` says which (a timer, a packet, the disk). An empty chain: the
    kernel did not report the wake-up.
    """

    chain: tuple[str, ...]
    thread: int | None = None
    task: str = ""


class Causes:
    """Finds the causes of the sleeps of one run."""

    def __init__(self, threads: Iterable[Thread]) -> None:
        self._lives: dict[int, list[Thread]] = collections.defaultdict(list)
        for thread in threads:
            self._lives[thread.host_tid].append(thread)
        self._serials = {thread.serial for lives in self._lives.values() for thread in lives}

    def of(self, sleep: Sleep) -> Cause:
        """What ended the sleep. The kernel uses a tid again: the thread must have been alive at the wake-up, or just ended."""
        waker = sleep.waker
        if waker is None:
            return Cause(())
        if not waker.stack or of_interrupt(waker.stack) != waker.stack or waker.chain[0] in _WITHOUT_A_TASK:
            return Cause(waker.chain)
        if waker.by_packet and not sent_by_waker(waker.stack):
            return Cause(waker.chain)  # the kernel's own thread for packets (ksoftirqd), or a softirq inside any task
        lives = [thread for thread in self._lives[waker.tid] if thread.start <= sleep.woken]
        last = max(lives, key=lambda thread: thread.start, default=None)
        # A thread wakes its parent after the end of its life here, which sched_process_exit marks (kernel/exit.c: do_exit).
        if last and (sleep.woken <= last.end or (last.ended and last.name == waker.comm)):
            return Cause(waker.chain, last.serial)
        return Cause(waker.chain, task=waker.comm)

    def of_sum(self, row: SleepSum) -> Cause:
        """What ended the sleeps of a row."""
        return of_sum(row, self._serials)


def of_sum(row: SleepSum, threads: Container[int]) -> Cause:
    """What ended the sleeps of a row. `threads`: the serial numbers of all that are known."""
    waker = row.waker
    if waker is None:
        return Cause(())
    if not waker.stack or of_interrupt(waker.stack) != waker.stack or waker.chain[0] in _WITHOUT_A_TASK:
        return Cause(waker.chain)
    if waker.by_packet and not sent_by_waker(waker.stack):
        return Cause(waker.chain)
    if row.waker_thread in threads:  # not in them: it has no account, or its first record was lost
        return Cause(waker.chain, row.waker_thread)
    return Cause(waker.chain, task=waker.comm)
