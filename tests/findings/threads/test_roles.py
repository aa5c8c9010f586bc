"""The tree of processes and the roles of their threads."""

from __future__ import annotations

from dataclasses import replace

import pytest

from findings.threads.roles import Role, identify, roles
from tests.conftest import measured
from tests.findings.models.expected import result_of


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("epoll", "epoll: event loop"),
        ("blocking", "blocking: server"),
        ("threads", "threads: acceptor, 6 connection threads"),
        ("processes", "processes: acceptor, 6 connection processes"),
        ("thread_pool", "thread_pool: acceptor, 4 workers"),
        ("process_pool", "process_pool: master, 4 workers"),
        ("posix_aio", "posix_aio: event loop, 4 helper threads"),
        ("io_uring:SQPOLL", "io_uring:sqpoll: event loop, kernel worker"),
        ("slow_handler:mended", "mistakes.slow_h: event loop, 2 workers"),
        ("thundering_herd:exclusive", "mistakes.thunde: master, 8 workers"),  # one of the 8 served all connections
        ("trace", "sh: main, 1 process (ls), 1 process (sleep)"),
    ],
)
def test_the_tree_in_words(name: str, words: str) -> None:
    assert roles(result_of(name)).words == words


def test_each_thread_is_in_one_group() -> None:
    result = measured("thread_pool")
    found = roles(result)
    (process,) = found.tree
    assert sorted(thread for group in process.threads for thread in group.threads) == sorted(t.serial for t in result.threads)
    assert [(group.role, len(group.threads)) for group in process.threads] == [(Role.ACCEPTOR, 1), (Role.WORKER, 4)]


def test_threads_whose_names_differ_in_numbers_are_of_one_kind() -> None:
    result = measured("thread_pool")
    named = tuple(replace(thread, name=f"pool-{number}") if number else thread for number, thread in enumerate(result.threads))
    (process,) = roles(replace(result, threads=named)).tree
    assert [group.name for group in process.threads] == ["thread_pool", "pool-N"]


def test_start_up_ends_when_the_server_waits_for_clients() -> None:
    result = measured("epoll")
    found = identify(result).roles
    first = next(call for call in result.calls if call.name == "epoll_wait")
    assert found.service_began == first.enter
    assert not found.in_service(result.calls[0]) and found.in_service(first)


def test_a_program_that_is_no_server_has_no_start_up() -> None:
    result = measured("trace")
    found = roles(result)
    assert found.service_began is None and all(map(found.in_service, result.calls))
