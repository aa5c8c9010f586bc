"""Event loops, and threads that wait in the same calls but are no event loops."""

from __future__ import annotations

import dataclasses

import pytest

from findings.threads.loops import OtherWaiters, event_loops, waits_for_connections
from findings.view import Run
from probes.context import TraceRun
from tests.conftest import measured
from tests.findings.models.story import Story


def run_of(story: Story) -> Run:
    """The run of a program that is no lab's server."""
    return Run(dataclasses.replace(story.result(), context=measured("trace").context))


def test_a_traced_program_is_no_lab() -> None:
    assert isinstance(measured("trace").context, TraceRun)


@pytest.mark.parametrize(("sources", "loop"), [((4, 5, 4), True), ((4, 5), False), ((4, 4, 4), False)])
def test_a_thread_that_polls_several_sources_is_an_event_loop(sources: tuple[int, ...], loop: bool) -> None:
    story = Story()
    for source in sources:
        story.call("poll", 0x7F00, 2, result=1, sleeps="poll")
        story.read(source)
    story.call("read", 9)
    assert bool(event_loops(run_of(story))) is loop


def test_a_client_that_polls_its_one_socket_is_no_event_loop() -> None:
    story = Story()
    for _ in range(5):
        story.call("poll", 0x7F00, 1, result=1, sleeps="poll")
        story.read(4)
    assert event_loops(run_of(story)) == []


def test_a_loop_begins_and_ends_with_its_waits() -> None:
    story = Story()
    story.listener(3)
    for number in range(3):
        story.call("epoll_wait", 5, result=1, sleeps="epoll")
        story.call("accept4", 3, result=6 + number)
    story.call("epoll_wait", 5, result=0, sleeps="epoll")
    story.call("close", 3)
    (loop,) = event_loops(run_of(story))
    assert (loop.calls[0].name, loop.calls[-1].name, len(loop.calls)) == ("epoll_wait", "epoll_wait", 7)
    assert loop.in_wait(loop.calls[0]) and not loop.in_wait(loop.calls[1])


def test_a_poll_of_one_descriptor_is_not_the_wait_of_a_loop_with_epoll() -> None:
    story = Story()
    for number in range(3):
        story.call("epoll_wait", 5, result=1, sleeps="epoll")
        story.call("accept4", 3, result=6 + number)
        story.call("poll", 0x7F00, 1, result=1, sleeps="poll")
    (loop,) = event_loops(run_of(story))
    polls = [call for call in loop.calls if call.name == "poll"]
    assert polls and not any(map(loop.in_wait, polls))


@pytest.mark.parametrize(("sizes", "all_of_them"), [((1, 2, 3), True), ((1, 1, 1), False)])
def test_a_poll_that_grows_waits_for_connections(sizes: tuple[int, ...], all_of_them: bool) -> None:
    story = Story()
    for number, size in enumerate(sizes):
        story.call("poll", 0x7F00, size, result=1, sleeps="poll")
        story.call("accept4", 3, result=6 + number)
    story.call("poll", 0x7F00, sizes[-1], result=1, sleeps="poll")
    context = measured("epoll").context  # the server of a lab: each thread that waits is an event loop
    (loop,) = event_loops(Run(dataclasses.replace(story.result(), context=context)))
    assert waits_for_connections(loop) is all_of_them


def test_threads_that_wait_in_one_epoll_instance_take_turns() -> None:
    story = Story()
    second = story.thread()
    story.call("epoll_wait", 5, result=1, sleeps="epoll")
    story.call("epoll_wait", 5, result=1, sleeps="epoll", by=second)
    run = run_of(story)
    mine, other = run.result.calls
    waiters = OtherWaiters(run)
    assert not waiters.waited(1, mine.sleeps[0]), "the other thread came later"
    longer = dataclasses.replace(mine.sleeps[0], woken=other.exit)
    assert waiters.waited(1, longer)
    assert not waiters.waited(7, longer), "a thread that never waited there"
