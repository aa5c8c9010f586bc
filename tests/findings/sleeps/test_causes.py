"""What ended a sleep: a followed thread, another task, or an interrupt."""

from __future__ import annotations

import dataclasses

from findings.sleeps.causes import Cause, Causes
from probes.measure.result import Sleep, Thread
from probes.measure.wakers import Waker, wake_chain
from tests.conftest import measured

THREAD = dataclasses.replace(
    measured("epoll").threads[0], serial=7, host_tid=4711, start=100, end=900, name="writer", ended=True
)
PIPE = ("pipe_write", "vfs_write", "ksys_write", "do_syscall_64")


def sleep(waker: Waker | None, woken: int = 500) -> Sleep:
    return Sleep(off=200, woken=woken, on=woken, queue="pipe", stack=(), waker=waker)


def waker(stack: tuple[str, ...] = PIPE, tid: int = 4711, comm: str = "writer") -> Waker:
    return Waker(comm=comm, tid=tid, chain=wake_chain(stack), stack=stack)


def cause(slept: Sleep, *threads: Thread) -> Cause:
    return Causes(threads or (THREAD,)).of(slept)


def test_a_followed_thread_is_named_by_its_number() -> None:
    assert cause(sleep(waker())).thread == 7


def test_another_task_is_named_by_its_name() -> None:
    ended_by = cause(sleep(waker(tid=1, comm="kworker")))
    assert (ended_by.thread, ended_by.task) == (None, "kworker")


def test_a_sleep_whose_wake_up_was_not_reported_has_no_cause() -> None:
    assert cause(sleep(None)) == Cause(())


def test_a_timer_has_no_task_as_its_cause() -> None:
    timer = ("hrtimer_wakeup", "__hrtimer_run_queues", "hrtimer_interrupt", "asm_sysvec_apic_timer_interrupt")
    ended_by = cause(sleep(waker(stack=timer)))
    assert (ended_by.thread, ended_by.task) == (None, "") and ended_by.chain


def test_an_id_that_was_used_again_is_the_thread_of_that_time() -> None:
    before = dataclasses.replace(THREAD, serial=3, start=10, end=90)
    assert cause(sleep(waker()), before, THREAD).thread == 7
    later = dataclasses.replace(THREAD, serial=9, start=600, end=900)
    assert cause(sleep(waker()), before, later).thread == 3, "it wakes its parent after the end of its life"
    stranger = dataclasses.replace(before, name="other")
    assert cause(sleep(waker()), stranger).thread is None
