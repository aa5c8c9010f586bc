"""What a thread did in a span of time: it slept, it spun, or it ended."""

from __future__ import annotations

from findings.sleeps.meanwhile import meanwhile
from findings.view import Run
from tests.conftest import measured


def test_a_sleep_that_fills_the_time_is_named_with_its_call_and_queue() -> None:
    run = Run(measured("silent_client")).case("broken")
    longest = max((sleep for call in run.result.calls for sleep in call.sleeps), key=lambda sleep: sleep.wait)
    words = meanwhile(run, longest.off, longest.woken)
    assert "slept in recvfrom on descriptor" in words and "socket" in words


def test_a_thread_that_never_sleeps_is_named_with_its_calls() -> None:
    run = Run(measured("nonblocking"))
    thread = run.result.threads[0]
    words = meanwhile(run, thread.start, thread.end - 1)
    assert f"thread {thread.name} never slept: it made" in words and "of them recvfrom" in words


def test_a_thread_that_ended_is_named_with_its_last_call() -> None:
    run = Run(measured("epoll"))
    thread = run.result.threads[0]
    assert "ended" in meanwhile(run, thread.end - 1000, thread.end + 1_000_000)


def test_no_thread_and_no_time_give_no_words() -> None:
    run = Run(measured("epoll"))
    assert meanwhile(run, 0, 1) == meanwhile(run, 5, 5) == ""
