"""Reads of sockets that belong to no message: the kind of each descriptor, also after close, dup, accept and fork."""

from __future__ import annotations

import dataclasses
import itertools
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from findings.not_followed import NotFollowed, Reason, not_followed
from probes.measure.result import Call, Result, Sleep, Thread
from probes.measure.wakers import Waker
from reports.not_followed import sentences
from tests.conftest import Followed, measured

_UNIX, _INET, _STREAM = int(socket.AF_UNIX), int(socket.AF_INET), int(socket.SOCK_STREAM)


def run(*calls: Call, threads: tuple[Thread, ...] = ()) -> Result:
    result = measured("blocking")
    thread = dataclasses.replace(result.threads[0], serial=1, pid=100, start=0, end=10**6)
    return dataclasses.replace(result, calls=calls, threads=(thread, *threads))


_TIMES = itertools.count(10, 10)


def call(name: str, fd: int | None, result: int, *args: int, thread: int = 1, **more: Any) -> Call:
    at = next(_TIMES)
    values: dict[str, Any] = {"enter": at, "exit": at + 1, "errno": None, "total": 1, "wait": 0, "sched_delay": 0}
    values |= {"preempted": 0, "copy": 0, "kernel": 1, "bytes": result if name in ("read", "recvfrom", "splice") else 0}
    return Call(thread=thread, name=name, fd=fd, args=args, result=result, **values | more)


def test_the_call_that_made_the_socket_says_what_it_is() -> None:
    made = call("socket", None, 5, _INET, _STREAM, 262)
    assert not_followed(run(made, call("read", 5, 64), call("recvfrom", 5, 36))) == (NotFollowed(Reason.MPTCP, 2, 100),)
    tcp = call("socket", None, 5, _INET, _STREAM, 0)
    assert not_followed(run(tcp, call("read", 5, 64))) == ()


def test_a_descriptor_is_a_socket_until_it_is_closed() -> None:
    made = call("socket", None, 5, _UNIX, _STREAM, 0)
    assert not_followed(run(made, call("close", 5, 0), call("read", 5, 64))) == (), "another file has that number now"


def test_accepted_and_duplicated_sockets_are_of_the_same_kind() -> None:
    made = call("socket", None, 5, _UNIX, _STREAM | socket.SOCK_NONBLOCK, 0)
    accepted, copied = call("accept4", 5, 6, 5, 0, 0, 0), call("fcntl", 6, 7, 6, 1030)
    assert not_followed(run(made, accepted, copied, call("read", 7, 9))) == (NotFollowed(Reason.UNIX, 1, 9),)


def test_a_child_process_inherits_the_sockets() -> None:
    made = call("socket", None, 5, _UNIX, _STREAM, 0)
    parent = measured("blocking").threads[0]
    child = dataclasses.replace(parent, serial=2, parent=1, pid=200, tid=200, start=made.exit + 1)
    found = not_followed(run(made, call("read", 5, 9, thread=2), threads=(child,)))
    assert found == (NotFollowed(Reason.UNIX, 1, 9),)


def test_a_wake_up_through_a_unix_socket_says_what_an_inherited_descriptor_is() -> None:
    sleep = Sleep(off=1, woken=2, on=3, queue="socket", stack=(), waker=Waker("x", 1, ("unix socket", "socket"), ()))
    assert not_followed(run(call("read", 0, 9, sleeps=(sleep,)), call("read", 4, 9))) == (NotFollowed(Reason.UNIX, 1, 9),)


def test_a_part_of_the_calls_has_its_own_figures() -> None:
    made, first, second = call("socket", None, 5, _UNIX, _STREAM, 0), call("read", 5, 9), call("recvfrom", 5, 90)
    assert not_followed(run(made, first, second), (second,)) == (NotFollowed(Reason.UNIX, 1, 90),)


def test_each_reason_has_words() -> None:
    for reason in Reason:
        (words,) = sentences([NotFollowed(reason, 3, 1200)])
        assert words.startswith("not available:") and "1,200 B" in words


def test_a_server_of_tcp_leaves_nothing_out() -> None:
    for name in ("blocking", "epoll", "threads", "asyncio", "io_uring"):
        assert not_followed(measured(name)) == ()


@pytest.mark.live
def test_the_bytes_are_those_that_the_program_read(follow: Callable[..., Followed], compiled: Callable[..., Path]) -> None:
    found = follow(compiled("families"))
    assert found.result.events.sound, found.result.events
    said = json.loads(found.output)
    bytes_of = {str(row.reason): row.bytes for row in not_followed(found.result)}
    ready = next(probe.attached or "" for probe in found.result.probes if probe.name == "data ready")
    all_arrive = "sk_data_ready" in ready or "sock_def_readable" in ready  # tcp_probe shows the arrivals of TCP alone
    followed = {"tcp", "unix socket", "MPTCP"} if all_arrive else {"tcp"}
    to_itself = said.pop("pair")  # a process that sends to itself sends no message
    expected = {reason: number for reason, number in said.items() if number and reason not in followed}
    assert bytes_of == expected | {"unix socket": expected.get("unix socket", 0) + to_itself}
    assert sum(message.bytes for message in found.result.messages) == sum(said[kind] for kind in followed) >= 150
