"""System calls by number and name on the architectures we run on, and what each does for I/O.

syscalls.tsv lists the numbers of x86_64 and aarch64 (the kernel's uapi headers); everything else that differs between the
two is here as well.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from probes.errors import CannotTrace


@dataclass(frozen=True)
class Architecture:
    """Where struct pt_regs, which is an ABI of both architectures, has the first four arguments of a system call.

    `start` is the offset of eight registers that are read at once, `order` the place of each argument among them. `function`
    has the offsets of the first four arguments of a function in the kernel. `number` is the offset of the call's number at its
    end, `first_at_exit` that of its first argument, whose register aarch64 uses for the result.
    """

    name: str
    start: int
    order: tuple[int, int, int, int]
    function: tuple[int, int, int, int]
    number: int
    first_at_exit: int


ARCHITECTURES = {
    # x86_64: di, si, dx, r10 are at 112, 104, 96 and 56, orig_ax at 120; a function has cx, at 88, instead of r10
    "x86_64": Architecture("x86_64", 56, (7, 6, 5, 0), (112, 104, 96, 88), 120, 112),
    # aarch64: regs[0] to regs[3], then orig_x0 at 272, syscallno at 280
    "aarch64": Architecture("aarch64", 0, (0, 1, 2, 3), (0, 8, 16, 24), 280, 272),
}

COMPAT = 1 << 16  # in a number: it is one of the architecture's 32-bit ABI

READS = {"read", "readv", "recvfrom", "recvmsg", "recvmmsg", "pread64", "preadv", "preadv2"}
WRITES = {"write", "writev", "sendto", "sendmsg", "sendmmsg", "pwrite64", "pwritev", "pwritev2", "sendfile", "splice"}
# The reads and writes whose result is a number of bytes; of the others it is a number of messages.
MOVES_BYTES = (READS | WRITES) - {"recvmmsg", "sendmmsg"}
ACCEPTS = {"accept", "accept4"}
# After one of these the addresses of a socket may be new, or known for the first time.
NAMES_SOCKETS = ACCEPTS | {"connect", "bind", "listen", "socketpair", "getsockname", "getpeername"}
EPOLL_WAITS = {"epoll_wait", "epoll_pwait", "epoll_pwait2"}
MULTIPLEXERS = {"select", "pselect6", "poll", "ppoll"} | EPOLL_WAITS
SIGNAL_WAITS = {"rt_sigtimedwait", "rt_sigsuspend", "pause"}
AIO_WAITS = {"io_getevents", "io_pgetevents"}
# The calls in which an event loop waits: for descriptors, signals or completions.
LOOP_WAITS = MULTIPLEXERS | SIGNAL_WAITS | AIO_WAITS | {"io_uring_enter"}
# No data passes between kernel and process but registers.
COPIES_NOTHING = {
    "close", "getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid", "exit", "exit_group", "dup", "dup2",
    "dup3", "listen", "shutdown", "epoll_create1", "sched_yield", "pause", "lseek", "fsync", "munmap", "mmap", "mprotect",
    "brk", "set_tid_address", "umask", "alarm", "kill", "tgkill", "fork", "vfork", "socket", "eventfd2",
}  # fmt: skip
# The first argument of these is a descriptor; of the others it is something else.
ON_DESCRIPTOR = READS | WRITES | ACCEPTS | {
    "close", "fcntl", "ioctl", "fstat", "lseek", "bind", "listen", "connect", "shutdown", "getsockname", "getpeername",
    "setsockopt", "getsockopt", "ftruncate", "fsync", "fdatasync", "dup", "dup2", "dup3", "getdents64", "flock",
    "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "io_uring_enter", "io_uring_register", "timerfd_settime",
    "openat", "newfstatat", "faccessat", "readlinkat",
}  # fmt: skip
# Results that the kernel gives itself and user space never sees: the call is restarted, or a signal handler runs first.
RESTARTS = {512: "ERESTARTSYS", 513: "ERESTARTNOINTR", 514: "ERESTARTNOHAND", 516: "ERESTART_RESTARTBLOCK"}


def architecture() -> Architecture:
    """The one we run on. Raises CannotTrace where the register layout is not known."""
    try:
        return ARCHITECTURES[platform.machine()]
    except KeyError:
        known = " and ".join(ARCHITECTURES)
        raise CannotTrace(f"{platform.machine()} is not supported", f"iolab knows {known}") from None


@cache
def numbers(machine: str) -> dict[str, int]:
    """Name -> number on `machine` (platform.machine())."""
    lines = (Path(__file__).parent / "syscalls.tsv").read_text().splitlines()
    column = lines[0].split("\t").index(machine)
    rows = (line.split("\t") for line in lines[1:])
    return {row[0]: int(row[column]) for row in rows if row[column] != "-"}


@cache
def names(machine: str) -> dict[int, str]:
    """Number -> name on `machine`."""
    return {number: name for name, number in numbers(machine).items()}


def name_of(number: int, machine: str) -> str:
    """What to call the system call of that number; calls of 32-bit programs have their number only.

    >>> [name_of(number, "x86_64") for number in (0, 3 | COMPAT, 9999, -1)]
    ['read', 'compat_3', 'syscall_9999', 'skipped_call']
    """
    if number == -1:  # a tracer wrote -1 over the number, so that the kernel makes no call
        return "skipped_call"
    if number > 0 and number & COMPAT:
        return f"compat_{number & ~COMPAT}"
    return names(machine).get(number) or f"syscall_{number}"


def errno_name(result: int) -> str | None:
    """The name of a failed call's error; None for a call that did not fail.

    >>> errno_name(-11), errno_name(64), errno_name(-512)
    ('EAGAIN', None, 'ERESTARTSYS')
    """
    import errno

    if not -4095 <= result < 0:
        return None
    return RESTARTS.get(-result) or errno.errorcode.get(-result) or os.strerror(-result)
