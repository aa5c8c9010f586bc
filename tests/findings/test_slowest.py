"""The slowest messages and calls, and the way from thread to thread that made them slow."""

from __future__ import annotations

from findings.slowest import slowest
from findings.view import Run
from tests.conftest import measured


def test_a_slow_call_is_followed_to_the_thread_that_paused() -> None:
    story = slowest(measured("faults/chain-threads"), 5)
    read = next(each for each in story.calls if each.call and each.call.name == "read")
    assert [(step.thread.name, step.call, step.depth) for step in read.steps[:3]] == [
        ("chain", "read", 0),
        ("writer", "futex", 1),
        ("sleeper", "clock_nanosleep", 2),
    ]
    assert read.steps[0].woken_by and read.steps[0].woken_by.name == "writer"
    assert "slept" in read.words and ", which woke it, slept" in read.words and read.title in read.words
    assert read.steps[0].ns >= read.steps[1].ns >= read.steps[2].ns > 50_000_000


def test_a_slow_message_names_what_its_thread_waited_for() -> None:
    story = slowest(Run(measured("silent_client")).case("broken").result, 3)
    assert [each.ns for each in story.messages] == sorted((each.ns for each in story.messages), reverse=True)
    worst = story.messages[0]
    assert worst.message and worst.ns > 400_000_000
    assert worst.steps[0].call == "recvfrom" and worst.steps[0].waker == "python"
    assert worst.steps[0].ns > 0.9 * worst.ns
    assert f"message {worst.number}" in worst.words


def test_a_thread_that_waits_for_work_is_not_slow() -> None:
    story = slowest(measured("epoll"), 1)
    assert story.calls[0].ns < 1_000_000
    assert all(each.call and each.call.total >= each.ns for each in story.calls)


def test_as_many_as_asked_for_and_no_more_than_there_are() -> None:
    result = measured("blocking")
    assert len(slowest(result, 2).messages) == len(slowest(result, 2).calls) == 2
    assert len(slowest(result, 10_000).messages) == len(result.messages)
    assert slowest(result, 0).messages == ()
