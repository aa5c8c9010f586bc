"""What came before the service: calls, errors and times of each thread, up to its process's first wait."""

from __future__ import annotations

import dataclasses

from findings.threads.roles import roles
from findings.threads.startup import PHASES, StartUp, start_up
from probes.measure.result import Result
from tests.conftest import measured
from tests.findings.models.story import Story


def of(result: Result) -> StartUp | None:
    return start_up(result, roles(result))


def program() -> Story:
    """It opens one file, fails to open another, and then waits in an event loop."""
    story = Story()
    story.call("openat", result=3)
    story.call("openat", result=-2, errno="ENOENT")
    story.call("epoll_wait", 4, sleeps="epoll")
    story.call("read", 5, result=8)
    story.call("epoll_wait", 4, sleeps="epoll")
    return story


def traced(story: Story) -> Result:
    return dataclasses.replace(story.result(), context=measured("trace").context)


def test_the_calls_before_the_first_wait_are_the_start_up() -> None:
    result = traced(program())
    begun = of(result)
    assert begun and [call.name for call in begun.calls] == ["openat", "openat"]
    assert begun.errors == {"openat ENOENT": 1} and begun.count == 2
    wait = next(call for call in result.calls if call.name == "epoll_wait")
    assert begun.first == wait.enter and begun.ns == wait.enter - result.threads[0].start
    assert begun.has(result.calls[0]) and not begun.has(wait)


def test_a_program_that_never_serves_has_no_start_up() -> None:
    story = Story()
    story.call("openat", result=3)
    assert of(traced(story)) is None


def test_a_process_that_ended_before_the_service_belongs_to_the_start_up() -> None:
    story = Story()
    child = story.process(parent=1)
    story.call("execve", by=child)
    story.call("exit_group", 0, by=child)
    story.call("epoll_wait", 4, sleeps="epoll")
    result = traced(story)
    first = next(call for call in result.calls if call.name == "epoll_wait").enter
    threads = tuple(
        dataclasses.replace(thread, end=first - 1) if thread.serial == child else thread for thread in result.threads
    )
    begun = of(dataclasses.replace(result, threads=threads))
    assert begun and begun.processes == 1


def test_the_times_of_a_thread_add_up_to_its_wall_time() -> None:
    begun = of(measured("pausing_client"))
    assert begun and begun.spent
    for spent in begun.spent.values():
        times = dict(zip(PHASES, spent, strict=True))
        assert times.pop("wall") == sum(times.values())
        assert all(ns >= 0 for ns in spent)
