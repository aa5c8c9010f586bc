"""The names of flags: they depend on the call, the command and the argument, and a value without a name stays a number."""

from __future__ import annotations

import fcntl
import os
import socket
from typing import Any

import pytest

from probes.measure.result import Call
from reports.flags import argument_words, result_words, takes


def call(name: str, *args: int, result: int | None = 0, errno: str | None = None) -> Call:
    registers = (*args, 0, 0, 0, 0)[:4]
    durations: dict[str, Any] = dict.fromkeys(("bytes", "total", "wait", "sched_delay", "preempted", "copy", "kernel"), 0)
    return Call(thread=1, name=name, fd=None, args=registers, enter=1, exit=2, result=result, errno=errno, **durations)


@pytest.mark.parametrize(
    ("made", "index", "words"),
    [
        (call("fcntl", 5, fcntl.F_SETFL, os.O_NONBLOCK), 2, "O_RDONLY|O_NONBLOCK"),
        (call("fcntl", 5, fcntl.F_SETFL, os.O_RDWR | os.O_APPEND | os.O_ASYNC), 2, "O_RDWR|O_APPEND|O_ASYNC"),
        (call("fcntl", 5, fcntl.F_SETFD, 1), 2, "FD_CLOEXEC"),
        (call("fcntl", 5, fcntl.F_SETFD, 0), 2, "0"),
        (call("fcntl", 5, fcntl.F_SETOWN, 2**64 - 7), 2, "-7"),
        (call("fcntl", 5, fcntl.F_SETSIG, 35), 2, "SIGRTMIN+1"),
        (call("fcntl", 5, 15, 0x7F00), 1, "F_SETOWN_EX"),
        (call("setsockopt", 3, socket.SOL_SOCKET, socket.SO_REUSEADDR), 2, "SO_REUSEADDR"),
        (call("setsockopt", 3, socket.IPPROTO_TCP, socket.TCP_NODELAY), 2, "TCP_NODELAY"),  # 1, like SO_DEBUG
        (call("getsockopt", 3, socket.SOL_SOCKET, socket.SO_ERROR), 2, "SO_ERROR"),
        (call("getsockopt", 3, socket.SOL_SOCKET, 9999), 2, "9999"),
        (call("ioctl", 3, 0x5421), 1, "FIONBIO"),
        (call("ioctl", 3, 0xABCD), 1, "0xabcd"),
        (call("accept4", 3, 0, 0, os.O_NONBLOCK | os.O_CLOEXEC), 3, "SOCK_CLOEXEC|SOCK_NONBLOCK"),
        (call("dup3", 7, 50, os.O_CLOEXEC), 2, "O_CLOEXEC"),
        (call("sendto", 3, 0, 2, 0x4040), 3, "MSG_DONTWAIT|MSG_NOSIGNAL"),
        (call("wait4", 12, 0, 1), 2, "WNOHANG"),
        (call("waitid", 0, 0, 0, 5), 3, "WNOHANG|WEXITED"),
        (call("clone", 0x1200011), 0, "CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD"),
        (call("clone", 0x3D0F00), 0, "CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD|CLONE_SYSVSEM|CLONE_SETTLS|"
         "CLONE_PARENT_SETTID|CLONE_CHILD_CLEARTID"),
        (call("io_uring_enter", 4, 1, 1, 9), 3, "IORING_ENTER_GETEVENTS|IORING_ENTER_EXT_ARG"),
        (call("rt_sigprocmask", 2), 0, "SIG_SETMASK"),
        (call("access", 0, 4), 1, "R_OK"),
        (call("access", 0, 0), 1, "F_OK"),
    ],
    ids=lambda value: value.name if isinstance(value, Call) else "",
)  # fmt: skip
def test_the_value_of_an_argument_has_the_name_that_programs_write(made: Call, index: int, words: str) -> None:
    assert argument_words(made)[index](made.args[index] & 0xFFFFFFFF) == words


def test_the_third_argument_of_fcntl_has_words_only_for_commands_that_take_flags() -> None:
    assert 2 not in argument_words(call("fcntl", 5, fcntl.F_DUPFD, 10))
    assert 2 not in argument_words(call("setsockopt", 3, 999, 1))


def test_f_getfl_returns_flags_and_an_error_returns_none() -> None:
    assert result_words(call("fcntl", 5, fcntl.F_GETFL, result=0o4002)) == "O_RDWR|O_NONBLOCK"
    assert result_words(call("fcntl", 5, fcntl.F_GETFD, result=1)) == "FD_CLOEXEC"
    assert result_words(call("fcntl", 5, fcntl.F_GETFD, result=0)) == ""
    assert result_words(call("fcntl", 5, fcntl.F_GETFL | 7 << 32, result=0o4002)) == "O_RDWR|O_NONBLOCK"
    assert result_words(call("fcntl", 5, fcntl.F_GETFL, result=-9, errno="EBADF")) == ""
    assert result_words(call("fcntl", 5, fcntl.F_DUPFD, result=7)) == ""
    assert result_words(call("read", 5, fcntl.F_GETFL, result=7)) == ""


def test_the_mode_of_open_counts_only_where_a_file_is_made() -> None:
    assert takes(call("openat", 0, 0, os.O_RDONLY, 0o644), 4) == 3
    assert takes(call("openat", 0, 0, os.O_WRONLY | os.O_CREAT, 0o644), 4) == 4
    assert takes(call("openat", 0, 0, os.O_DIRECTORY, 0o644), 4) == 3  # O_TMPFILE has this bit, too
    assert takes(call("fcntl", 5, fcntl.F_GETFL), 3) == 2
    assert takes(call("fcntl", 5, fcntl.F_GETFL | 7 << 32), 3) == 2, "the command is an int: the upper half has no meaning"
    assert takes(call("fcntl", 5, fcntl.F_SETFL), 3) == 3
