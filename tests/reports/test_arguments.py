"""The arguments of a call in words: each kind of value, flags by their names, and no word for what a record does not have."""

from __future__ import annotations

import os
import select
from typing import Any

import pytest

from probes.measure.result import Call
from probes.measure.rows import Descriptor
from reports.arguments import arguments

ALL = 0xFFFFFFFFFFFFFFFF


def call(name: str, *args: int, fd: int | None = None, result: int | None = 0, **values: Any) -> Call:
    blank = dict.fromkeys(("bytes", "total", "wait", "sched_delay", "preempted", "copy", "kernel"), 0)
    return Call(
        thread=1, name=name, fd=fd, args=(*args, 0, 0, 0, 0)[:4], enter=1, exit=2, result=result, errno=None, **blank | values
    )


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (call("read", 5, 0x7F00, 4096, fd=5), "5, 0x7f00, 4096"),
        (call("read", 5, 0, 4096, fd=5, descriptor=Descriptor("pipe_release")), "pipe[5], NULL, 4096"),
        (
            call("openat", ALL - 99, 0x7F00, os.O_WRONLY | os.O_CREAT, 0o644, fd=-100),
            "AT_FDCWD, 0x7f00, O_WRONLY|O_CREAT, 0644",
        ),
        (call("openat", ALL - 99, 0x7F00, os.O_RDONLY | os.O_CLOEXEC, 0o644, fd=-100), "AT_FDCWD, 0x7f00, O_RDONLY|O_CLOEXEC"),
        (call("socket", 2, 1 | 0o4000, 6), "AF_INET, SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP"),
        (call("socket", 999, 9, 0), "999, 9, 0"),
        (call("epoll_ctl", 4, 1, 7, 0, fd=4), "4, EPOLL_CTL_ADD, 7, 0"),
        (call("epoll_ctl", 4, 3, 7, select.EPOLLIN | 1 << 31, fd=4), "4, EPOLL_CTL_MOD, 7, EPOLLIN|EPOLLET"),
        (call("epoll_create1", 0o2000000), "EPOLL_CLOEXEC"),
        (call("recvfrom", 5, 0x10, 64, 0x40, fd=5), "5, 0x10, 64, MSG_DONTWAIT, ..."),
        (call("recvfrom", 5, 0x10, 64, 0, fd=5), "5, 0x10, 64, 0, ..."),
        (call("fcntl", 5, 4, 0o4002, fd=5), "5, F_SETFL, O_RDWR|O_NONBLOCK"),
        (call("fcntl", 5, 3, 8725682, fd=5, result=2), "5, F_GETFL"),
        (call("futex", 0x10, 0x80 | 1, 1, 0), "0x10, FUTEX_WAKE, 1, NULL, ..."),
        (call("kill", 12, 15), "12, SIGTERM"),
        (call("kill", ALL, 999), "-1, 999"),
        (call("lseek", 5, ALL, 2, fd=5), "5, -1, SEEK_END"),
        (call("mprotect", 0x1000, 4096, 0), "0x1000, 4096, PROT_NONE"),
        (call("execve", 1, 2, 3), "..."),
        (call("execve", 0x10, 0x20, 0x30, result=-2), "0x10, 0x20, 0x30"),
        (call("syscall_999", 1, 16), "0x1, 0x10, 0x0, 0x0"),
    ],
    ids=lambda value: value.name if isinstance(value, Call) else "",
)
def test_arguments_have_the_names_that_programs_give_them(made: Call, words: str) -> None:
    assert arguments(made) == words


def test_an_argument_that_the_call_ignores_is_left_out_only_for_that_command() -> None:
    assert arguments(call("fcntl", 5, 0, 10, fd=5, result=10)) == "5, F_DUPFD, 10"


def test_of_a_burst_only_the_descriptor_is_the_same_in_all_calls() -> None:
    assert arguments(call("read", 5, 0x7F00, 4096, fd=5, histogram=(3,), count=3)) == "5, ..."
    assert arguments(call("sched_yield", histogram=(3,), count=3)) == "..."
