"""Data that a read left in its socket: how much, how long, and whether the thread slept or waited meanwhile."""

from __future__ import annotations

from findings.descriptors.unread import left_unread
from findings.view import Run
from servers.mistakes.edge_undrained import PIECE
from tests.conftest import measured

SIZE = 1000  # bytes of a message in that recording


def test_what_is_left_is_counted_in_bytes_and_time() -> None:
    run = Run(measured("edge_undrained")).case("broken")
    left = left_unread(run)
    first = {rest.socket: rest for rest in reversed(left)}
    assert [rest.bytes for rest in first.values()] == [SIZE - PIECE] * len(run.clients)
    for rest in first.values():
        assert 0 < rest.slept <= rest.ns and rest.ns > 0.5e9 and rest.waits, "the thread slept until the client gave up"


def test_a_read_that_follows_at_once_leaves_nothing_to_a_wait() -> None:
    left = left_unread(Run(measured("edge_undrained")).case("mended"))
    assert [rest.bytes for rest in left[:3]] == [744, 488, 232]
    assert not any(rest.waits or rest.slept for rest in left)


def test_a_wait_that_returns_at_once_is_no_sleep() -> None:
    left = left_unread(Run(measured("edge_undrained")).case("level"))
    assert left and all(rest.waits for rest in left)
    assert sum(rest.slept for rest in left) < 0.1 * sum(rest.ns for rest in left)


def test_a_server_that_reads_all_at_once_leaves_nothing() -> None:
    assert left_unread(Run(measured("epoll"))) == []
