"""The scheduler's events of a run: lanes on which one thread at a time runs, and the wake-ups of its sleeps."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from findings.pictures.states import in_order
from findings.sleeps.causes import Cause, Causes
from probes.measure.result import Call, Result, Sleep
from reports.export.ftrace import DEAD, IDLE, INTERRUPTIBLE, RUNNING, UNINTERRUPTIBLE, Switch, Waking, lanes
from tests.conftest import measured

PACKET = Cause(("packet",))


def calls_of(result: Result) -> dict[int, list[tuple[Call, int]]]:
    found: dict[int, list[Call]] = {}
    for call in result.calls:
        found.setdefault(call.thread, []).append(call)
    return {thread: list(in_order(calls)) for thread, calls in found.items()}


def of(result: Result) -> list[list[Switch | Waking]]:
    return lanes(result.threads, calls_of(result), Causes(result.threads).of)


@pytest.mark.parametrize("name", ["blocking", "threads", "thread_pool", "lock_in_loop"])
def test_a_lane_has_one_thread_at_a_time_and_each_sleep_its_wake_up(name: str) -> None:
    result = measured(name)
    found = of(result)
    for events in found:
        assert [event.at for event in events] == sorted(event.at for event in events)
        switches = [event for event in events if isinstance(event, Switch)]
        assert switches[0].before.tid == switches[-1].after.tid == IDLE
        assert all(switch.after == following.before for switch, following in itertools.pairwise(switches)), (
            "a thread runs that no switch began"
        )
    slept = sum(1 for call in result.calls for sleep in call.sleeps if sleep.woken > sleep.off)
    woken = [event for events in found for event in events if isinstance(event, Waking)]
    assert 0 < len(woken) <= slept
    assert len(woken) >= slept - len(result.threads)  # a sleep that the end of the run cut off has none


def test_a_thread_runs_on_one_lane_at_a_time() -> None:
    running: dict[int, int] = {}
    events = [event for events in of(measured("threads")) for event in events if isinstance(event, Switch)]
    for event in sorted(events, key=lambda event: event.at):
        for task, change in ((event.before, -1), (event.after, 1)):
            if task.tid != IDLE:
                running[task.tid] = running.get(task.tid, 0) + change
    assert set(running.values()) == {0}


def test_the_state_says_what_kind_of_sleep_it_was() -> None:
    thread = dataclasses.replace(measured("blocking").threads[0], start=0, end=100, kernel_worker=False)
    call = measured("blocking").calls[0]
    disk, socket = (
        Sleep(off=at, woken=at + 5, on=at + 9, queue=queue, stack=(), waker=None)
        for at, queue in ((10, "disk"), (30, "socket"))
    )
    made = [(dataclasses.replace(call, enter=8, exit=50, sleeps=(disk, socket)), 50)]
    for ended, last in ((True, DEAD), (False, RUNNING)):
        thread = dataclasses.replace(thread, ended=ended)
        (events,) = lanes([thread], {thread.serial: made}, lambda _sleep: PACKET)
        switches = [event for event in events if isinstance(event, Switch) and event.before.tid != IDLE]
        assert [(event.at, event.state) for event in switches] == [(10, UNINTERRUPTIBLE), (30, INTERRUPTIBLE), (100, last)]
        assert [(event.at, event.interrupt) for event in events if isinstance(event, Waking)] == [(15, True), (35, True)]


def test_a_worker_of_the_kernel_has_no_lane() -> None:
    thread = dataclasses.replace(measured("blocking").threads[0], kernel_worker=True)
    assert lanes([thread], {}, lambda _sleep: PACKET) == []
