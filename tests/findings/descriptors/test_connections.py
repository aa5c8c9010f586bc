"""The connections of a server, read from recordings."""

from __future__ import annotations

import dataclasses

import pytest

from findings.descriptors.connections import connections, left_blocking
from findings.view import Run
from tests.conftest import measured


@pytest.mark.parametrize("name", ["blocking", "epoll", "select", "threads"])
def test_each_connection_has_its_calls_up_to_its_close(name: str) -> None:
    run = Run(measured(name))
    found = connections(run)
    messages = len(run.clients[0].exchanges)
    assert len(found) == len(run.clients) > 1
    for connection in found:
        assert connection.closed
        assert connection.read == connection.sent == messages * 64
        assert len(connection.reads) == len(connection.sends) == messages
        assert not connection.refused
        assert {call.fd for call in connection.calls} == {connection.accepted.result}


def test_a_descriptor_that_is_used_again_belongs_to_another_connection() -> None:
    run = Run(measured("blocking"))
    assert len({call.result for call in run.connections}) < len(run.connections)
    assert sum(len(connection.reads) for connection in connections(run)) == len([call for call in run.reads if call.bytes])


def test_a_connection_that_is_never_closed_says_so() -> None:
    result = measured("epoll")
    run = Run(dataclasses.replace(result, calls=tuple(call for call in result.calls if call.name != "close")))
    assert [connection.closed for connection in connections(run)] == [None] * len(run.clients)


def test_processes_may_have_connections_with_the_same_descriptor() -> None:
    run = Run(measured("process_pool"))
    assert sum(connection.read for connection in connections(run)) == 64 * len(run.round_trips)


def test_a_connection_that_its_client_has_ended_is_seen() -> None:
    found = connections(Run(measured("epoll")))
    assert all(each.ended and each.closed and each.ended.exit <= each.closed.enter for each in found)


def test_a_connection_is_left_blocking_where_a_loop_reads_it() -> None:
    result = measured("epoll")
    assert all(each.set_non_blocking for each in connections(Run(result)))
    unset = Run(dataclasses.replace(result, calls=tuple(call for call in result.calls if call.name != "ioctl")))
    assert len(left_blocking(connections(unset), {unset.server.serial})) == 3
    assert left_blocking(connections(unset), set()) == [], "another thread may let it block"


def test_a_read_that_says_so_itself_does_not_block() -> None:
    result = measured("epoll")
    calls = tuple(
        dataclasses.replace(call, args=(*call.args[:3], 0x40)) if call.name == "recvfrom" else call  # MSG_DONTWAIT
        for call in result.calls
        if call.name != "ioctl"
    )
    run = Run(dataclasses.replace(result, calls=calls))
    assert left_blocking(connections(run), {run.server.serial}) == []
