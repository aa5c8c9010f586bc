"""Where threads wait: the sleeps of each thread by call and queue, with the tasks that ended them by name."""

from __future__ import annotations

import dataclasses
from functools import cache

import pytest

from findings.sleeps.causes import Causes
from findings.sleeps.idle import Idleness
from findings.sleeps.where import Where
from findings.threads.roles import identify
from findings.threads.startup import PHASES, start_up
from findings.view import Run
from probes.kernel.records import Kind, SleepFlag
from probes.measure.measure import measure
from probes.measure.queues import Queue
from probes.measure.result import Result, Thread
from tests.conftest import measured
from tests.probes.measure.streams import record, recording

NAMES = ("lock_in_loop", "budget", "threads", "thread_pool", "epoll", "processes", "io_uring", "trace")


@cache
def locked() -> Result:
    """An event loop that waited for a lock of 200 ms, taken 50 ms before by a thread of its pool."""
    return measured("lock_in_loop")


def main_thread(result: Result) -> Thread:
    return next(thread for thread in result.threads if thread.tid == thread.pid)


@pytest.mark.parametrize("name", NAMES)
def test_the_sleeps_of_a_thread_add_up_to_its_time_asleep(name: str) -> None:
    result = measured(name)
    for thread, slept in Where(result).threads:
        assert sum(group.ns for group in slept) == thread.wait
        assert sum(group.count for group in slept) == thread.voluntary_switches
        assert [group.ns for group in slept] == sorted((group.ns for group in slept), reverse=True)
        for group in slept:
            assert sum(group.histogram.values()) in (group.count, 0)
            assert sum(number for _, number in group.ended_by) <= group.count


def test_a_sleep_outside_calls_is_ended_by_a_task_with_a_name() -> None:
    stacks = {
        3: ("__schedule", "schedule", "do_signal_stop"),
        4: ("try_to_wake_up", "signal_wake_up_state", "send_signal_locked"),
    }
    slept = {"nr": -1, "waker": 2, "stack": 3, "waker_stack": 4, "waker_comm": "parent"}
    stream = [
        record(Kind.THREAD, thread=2, tid=6, ns_tid=6, ns_tgid=6, start=1, comm="parent"),
        record(Kind.THREAD, thread=1, tid=7, ns_tid=7, ns_tgid=7, start=1, comm="job"),
        record(Kind.SLEEP, flags=int(SleepFlag.OUTSIDE), off=10, woken=30, on=31, stack=3, waker_stack=4, waker_tid=6),
        record(Kind.SLEEP_SUM, count=1, wait=20, delay=1, longest=20, walked=1, waker_walked=1, **slept),
        record(Kind.EXIT, thread=1, end=90, sleeps=1, wait=20, delay=1),
        record(Kind.EXIT, thread=2, end=90),
    ]
    result = measure(dataclasses.replace(recording(stream), stacks=stacks))
    job = next(thread for thread in result.threads if thread.name == "job")
    (stop,) = Where(result).of(job)
    assert (stop.call, stop.queue, stop.count, stop.lasted.longest) == ("", Queue.STOP, 1, 20)
    ((cause, number),) = stop.ended_by
    assert (cause.thread, number) == (2, 1)


def test_a_lock_in_an_event_loop_is_named_with_its_holder() -> None:
    result = locked()
    first = main_thread(result)
    futex = next(group for group in Where(result).of(first) if (group.call, group.queue) == ("futex", Queue.FUTEX))
    assert futex.lasted.longest is not None and 140e6 < futex.lasted.longest < 250e6
    pool = {thread.serial for thread in result.threads} - {first.serial}
    assert {cause.thread for cause, _ in futex.ended_by} <= pool
    waits = [call for call in result.calls if call.thread == first.serial and call.name == "futex"]
    longest = max((sleep for call in waits for sleep in call.sleeps), key=lambda sleep: sleep.wait)
    holder = Causes(result.threads).of(longest).thread
    assert any(call.thread == holder and call.name == "clock_nanosleep" and call.wait > 190e6 for call in result.calls)


def test_its_sleep_is_held_up_and_that_of_the_idle_threads_is_not() -> None:
    result = locked()
    where = Where(result, idleness=Idleness(Run(result)))
    held = {thread.tid: sum(group.held_up or 0 for group in slept) for thread, slept in where.threads}
    first = main_thread(result)
    assert held.pop(first.tid) > 140e6
    assert max(held.values()) < 20e6


@pytest.mark.parametrize("name", ["thread_pool", "lock_in_loop", "trace"])
def test_a_timer_is_no_task(name: str) -> None:
    for _, slept in Where(measured(name)).threads:
        for group in slept:
            for cause, _ in group.ended_by:
                if cause.chain and cause.chain[0] == "timer":
                    assert cause.thread is None and not cause.task


@pytest.mark.parametrize("name", NAMES)
def test_start_up_and_service_add_up_to_the_life(name: str) -> None:
    result = measured(name)
    start = start_up(result, identify(result).roles)
    if start is None:
        assert name in ("trace", "budget")
        return
    for thread in result.threads:
        spent = start.spent.get(thread.serial, (0,) * len(PHASES))
        assert spent[0] == sum(spent[1:])
        assert all(0 <= ns <= getattr(thread, phase) for ns, phase in zip(spent, PHASES, strict=True))
    assert all(start.has(call) for call in start.calls)
    assert start.ns > 0
