"""What checks read of a run: its reads, its turns, and the part that belongs to one process and to all that it started."""

from __future__ import annotations

import pytest

from findings.view import NotOffered, Run, ended_by_signal, of_case, of_process, turns, waited
from tests.conftest import cases_of, measured, recording_of
from tests.findings.models.story import Story


def run_of(story: Story) -> Run:
    return Run(story.result())


def test_a_process_has_the_threads_and_processes_that_it_started_and_no_others() -> None:
    story = Story()
    worker, child = story.thread(), story.process(parent=1)
    grandchild = story.process(parent=child)
    stranger = story.process()
    for by in (1, worker, child, grandchild, stranger):
        story.read(4, by=by)
    result = story.result()
    mine = of_process(result, result.threads[0].pid)
    assert {thread.serial for thread in mine.threads} == {1, worker, child, grandchild}
    assert {call.thread for call in mine.calls} == {1, worker, child, grandchild}
    assert sum(row.count for row in mine.rows) == 4


def test_each_case_has_its_own_server() -> None:
    run = Run(measured("silent_client"))
    cases = cases_of(recording_of("silent_client"))
    assert list(run.cases) == [case.name for case in cases]
    serials = [{thread.serial for thread in case.result.threads} for case in run.cases.values()]
    assert not serials[0] & serials[1]
    with pytest.raises(NotOffered, match="no such case: 0 calls recorded"):
        run.case("no such case")
    with pytest.raises(NotOffered):
        of_case(measured("epoll"), cases[0])


def test_a_call_that_slept_for_its_peer_waited() -> None:
    story = Story()
    story.call("recvfrom", 4, sleeps="socket")
    story.call("recvfrom", 4, sleeps="page")
    first, second = story.result().calls
    assert waited(first) and not waited(second)


def test_a_call_that_a_signal_ended_is_no_call_of_the_model() -> None:
    story = Story()
    story.call("epoll_wait", 4, result=-4, errno="EINTR")
    story.call("epoll_wait", 4, result=1)
    run = run_of(story)
    assert [ended_by_signal(call) for call in run.result.calls] == [True, False]
    assert run.waits == [run.result.calls[1]]


def test_only_accepts_that_returned_a_descriptor_are_connections() -> None:
    story = Story()
    story.call("accept4", 3, result=-11, errno="EAGAIN")
    story.call("accept4", 3, result=0)
    story.call("accept4", 3, result=7)
    assert [call.result for call in run_of(story).connections] == [0, 7]


def test_connections_that_are_served_in_turn_have_more_turns_than_connections() -> None:
    story = Story()
    for socket in (1, 1, 2, 1):
        story.call("recvfrom", 4, result=64, socket=socket)
    story.call("recvfrom", 4, result=-11, errno="EAGAIN")
    assert turns(list(story.result().calls)) == (2, 3)
    assert turns([]) == (0, 0)
