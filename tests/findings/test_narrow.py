"""A part of a run: the calls of some threads, of some names, on some descriptors; and what is left out of it."""

from __future__ import annotations

import pytest

from findings.narrow import narrowed
from findings.part import Part
from findings.sleeps.where import Where
from probes.measure.result import Result
from tests.conftest import measured


@pytest.fixture
def result() -> Result:
    return measured("thread_pool")


def test_an_empty_part_is_the_run(result: Result) -> None:
    assert narrowed(result, Part()) is result


def test_threads_are_named_by_id_or_pattern(result: Result) -> None:
    thread = result.threads[1]
    part = narrowed(result, Part(threads=(str(thread.tid),)))
    assert [each.serial for each in part.threads] == [thread.serial]
    assert part.calls == tuple(call for call in result.calls if call.thread == thread.serial)
    assert all(message.thread == thread.serial for message in part.messages)
    assert len(narrowed(result, Part(threads=(f"{thread.name[:3]}*",))).threads) == len(result.threads)
    assert not narrowed(result, Part(threads=("no such name",))).threads


def test_calls_keep_their_threads_and_leave_out_others(result: Result) -> None:
    part = narrowed(result, Part(calls=("recv*", "futex")))
    assert {call.name for call in part.calls} == {"recvfrom", "futex"}
    assert {row.name for row in part.rows} == {"recvfrom", "futex"}
    assert {thread.serial for thread in part.threads} == {call.thread for call in part.calls} != {0}
    assert sum(row.count for row in part.rows) == sum(call.count for call in part.calls)


def test_a_descriptor_has_its_calls_and_messages(result: Result) -> None:
    fd = result.messages[0].fd
    part = narrowed(result, Part(fds=(fd,)))
    assert {call.fd for call in part.calls} == {fd} and {message.fd for message in part.messages} == {fd}


def test_a_part_of_a_run_with_few_details_has_the_sums_of_all_its_calls() -> None:
    result = measured("budget")
    assert not result.details.complete
    names = {row.name: row for row in result.rows}
    name = max(names, key=lambda name: names[name].count)
    part = narrowed(result, Part(calls=(name,)))
    assert [(row.name, row.count, row.total, row.wait) for row in part.rows] == [
        (name, names[name].count, names[name].total, names[name].wait)
    ]
    assert names[name].count > sum(call.count for call in part.calls)
    thread = max(result.threads, key=lambda thread: thread.calls)
    own = narrowed(result, Part(threads=(str(thread.tid),)))
    assert sum(row.count for row in own.rows) == thread.calls
    assert sum(slept.ns for slept in Where(own).of(thread)) == thread.wait


def test_all_conditions_hold_together(result: Result) -> None:
    fd = result.messages[0].fd
    part = narrowed(result, Part(calls=("recvfrom",), fds=(fd,)))
    assert part.calls and all(call.name == "recvfrom" and call.fd == fd for call in part.calls)


def test_a_port_has_the_calls_of_its_sockets() -> None:
    result = measured("faults/sockets-addresses")
    part = narrowed(result, Part(ports=(18001,)))
    assert {call.name for call in part.calls} >= {"bind", "listen", "accept", "connect", "recvfrom", "write", "close"}
    assert len(part.socket_ends) == 5 and all(18001 in end.name.ports for end in part.socket_ends)
    assert len(part.messages) == 3, "two over TCP, one over UDP"
    assert sum(row.count for row in part.rows) == sum(call.count for call in part.calls) < sum(row.count for row in result.rows)
    assert not narrowed(result, Part(ports=(1,))).calls
