"""Threads of one role are folded, and the ones that work come before the idle ones."""

from __future__ import annotations

import dataclasses

import pytest

from findings.sleeps.where import Where
from findings.threads.groups import groups
from findings.threads.labels import Labels
from findings.threads.roles import Role, identify
from findings.threads.startup import start_up
from probes.measure.result import Result
from tests.conftest import measured


def folded(result: Result) -> list[tuple[str, int]]:
    roles = identify(result).roles
    start = start_up(result, roles)
    found = groups(Where(result, start), start, roles)
    labels = Labels(result, found)
    return [(labels.group(group), len(group.threads)) for group in found]


@pytest.mark.parametrize("name", ["lock_in_loop", "threads", "thread_pool", "process_pool", "epoll", "trace", "posix_aio"])
def test_every_thread_is_in_one_group(name: str) -> None:
    result = measured(name)
    roles = identify(result).roles
    found = groups(Where(result), None, roles)
    serials = [thread.serial for group in found for thread in group.threads]
    assert sorted(serials) == sorted(thread.serial for thread in result.threads)
    assert all(group.life["wall"] == sum(ns for phase, ns in group.life.items() if phase != "wall") for group in found)


def test_the_event_loop_comes_before_its_idle_pool() -> None:
    result = measured("lock_in_loop")
    names = [name for name, _ in folded(result)]
    pid = result.threads[0].pid
    assert names[0] == f"main thread of python3 {pid}" and names[-1].startswith("2 idle threads")


def test_threads_of_a_pool_are_one_line() -> None:
    (name, number) = next(entry for entry in folded(measured("thread_pool")) if "worker" in entry[0])
    assert number > 1 and name.startswith(f"{number} workers ")


def test_two_hundred_threads_of_a_pool_are_one_line() -> None:
    """Threads with the life and the calls of one worker, each under a number of its own."""
    result = measured("thread_pool")
    worker = next(group for group in groups(Where(result), None, identify(result).roles) if group.role is Role.WORKER).threads[
        0
    ]
    calls = [call for call in result.calls if call.thread == worker.serial]
    numbers = range(1_000_000, 1_000_200)
    more = tuple(dataclasses.replace(worker, serial=number, tid=number, host_tid=number) for number in numbers)
    repeated = tuple(dataclasses.replace(call, thread=number) for number in numbers for call in calls)
    ordered = tuple(sorted([*result.calls, *repeated], key=lambda call: call.enter))
    crowd = dataclasses.replace(result, threads=(*result.threads, *more), calls=ordered)
    assert len(folded(crowd)) <= len(folded(result)) + 1
    assert max(number for _, number in folded(crowd)) >= 200
