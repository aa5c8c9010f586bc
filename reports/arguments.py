"""The arguments of a call in words, as far as a record has them: the first four registers. No record has what they point to."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import socket
from collections.abc import Callable, Mapping
from functools import cache

from probes.kernel.parameters import As, parameters, signed
from probes.measure.result import Call
from probes.measure.sockets import SocketName
from reports.descriptors import with_number

_AT_FDCWD = -100  # linux/fcntl.h
_MAKES_FILES = os.O_CREAT | os.O_TMPFILE & ~os.O_DIRECTORY
_EXECS = {"execve", "execveat"}
_WITH_MODE = {"open": 3, "openat": 4}  # how many parameters, the last of them the mode


def arguments(call: Call, name: SocketName | None = None) -> str:
    """As in "TCP[5], 0x7f31c0, 4096"; "..." stands for arguments after the fourth. `name`: the addresses of its socket."""
    known = parameters().get(call.name)
    if call.histogram is not None:  # a burst: only the first argument is the same in all its calls
        return f"{_descriptor(call, call.fd, name)}, ..." if call.fd is not None else "..."
    if call.name in _EXECS and call.result == 0:
        return "..."  # the registers are those of the new program
    if known is None:
        return ", ".join(f"{value:#x}" for value in call.args)
    names = _NAMED.get(call.name, {})
    shown = []
    for index, (parameter, value) in enumerate(zip(known, call.args, strict=False)):
        if index == 0 and call.fd is not None:
            shown.append(_descriptor(call, call.fd, name))
        elif index in names:
            shown.append(names[index](value & 0xFFFFFFFF))
        else:
            shown.append(_value(parameter.kind, value))
    if len(known) == _WITH_MODE.get(call.name) and not call.args[len(known) - 2] & _MAKES_FILES:
        shown.pop()  # open ignores the mode
    return ", ".join(shown + (["..."] if len(known) > len(call.args) else []))


def _descriptor(call: Call, fd: int | None, name: SocketName | None) -> str:
    if fd is None:
        return ""
    return "AT_FDCWD" if fd == _AT_FDCWD else with_number(call.descriptor, fd, name)


def _value(kind: As, value: int) -> str:
    match kind:
        case As.FD:
            number = signed(value, 32)
            return "AT_FDCWD" if number == _AT_FDCWD else str(number)
        case As.POINTER:
            return f"{value:#x}" if value else "NULL"
        case As.INT:
            return str(signed(value, 32))
        case As.LONG:
            return str(signed(value, 64))
        case As.MODE:
            return f"0{value & 0o7777:o}"
        case As.FLAGS:
            return f"{value & 0xFFFFFFFF:#x}" if value & 0xFFFFFFFF else "0"
        case _:
            return str(value) if value >> 32 == 0 else f"{value:#x}"


# -- names of values ----------------------------------------------------------------------------------------------------


def _bits(names: Mapping[str, int], zero: str = "0") -> Callable[[int], str]:
    """Words for a set of bits: the names, and what has none as a number."""

    @cache
    def words(value: int) -> str:
        found, rest = [], value
        for name, bits in names.items():
            if bits and rest & bits == bits:
                found.append(name)
                rest &= ~bits
        return "|".join(found + ([f"{rest:#x}"] if rest else [])) or zero

    return words


def _one(names: Mapping[int, str]) -> Callable[[int], str]:
    return lambda value: names.get(value, str(signed(value, 32)))


def _enum(members: type[socket.AddressFamily]) -> dict[int, str]:
    return {int(member): member.name for member in members}


def _open_flags() -> Callable[[int], str]:
    names = ("O_TMPFILE", "O_SYNC", "O_DSYNC", "O_CREAT", "O_EXCL", "O_NOCTTY", "O_TRUNC", "O_APPEND", "O_NONBLOCK", "O_DIRECT",
             "O_DIRECTORY", "O_NOFOLLOW", "O_NOATIME", "O_CLOEXEC", "O_PATH")  # fmt: skip
    rest = _bits({name: getattr(os, name) for name in names if hasattr(os, name)}, "")

    def words(value: int) -> str:
        access = ("O_RDONLY", "O_WRONLY", "O_RDWR", "3")[value & os.O_ACCMODE]
        others = rest(value & ~os.O_ACCMODE & ~0o100000)  # O_LARGEFILE, which the C library adds
        return f"{access}|{others}" if others else access

    return words


def _socket_type(value: int) -> str:
    kinds = {1: "SOCK_STREAM", 2: "SOCK_DGRAM", 3: "SOCK_RAW", 5: "SOCK_SEQPACKET"}
    flags = _CREATED(value & ~0xF)
    return kinds.get(value & 0xF, str(value & 0xF)) + ("" if flags == "0" else f"|{flags}")


def _futex(value: int) -> str:
    names = ("FUTEX_WAIT", "FUTEX_WAKE", "FUTEX_FD", "FUTEX_REQUEUE", "FUTEX_CMP_REQUEUE", "FUTEX_WAKE_OP", "FUTEX_LOCK_PI",
             "FUTEX_UNLOCK_PI", "FUTEX_TRYLOCK_PI", "FUTEX_WAIT_BITSET", "FUTEX_WAKE_BITSET", "FUTEX_WAIT_REQUEUE_PI",
             "FUTEX_CMP_REQUEUE_PI", "FUTEX_LOCK_PI2")  # fmt: skip
    operation = value & 0x7F  # without FUTEX_PRIVATE_FLAG and FUTEX_CLOCK_REALTIME
    return names[operation] if operation < len(names) else str(value)


def _signal(value: int) -> str:
    return signal.Signals(value).name if value in {int(member) for member in signal.Signals} else str(signed(value, 32))


_CREATED = _bits({"SOCK_CLOEXEC": 0o2000000, "SOCK_NONBLOCK": 0o4000})
_CLOEXEC_NONBLOCK = {"CLOEXEC": 0o2000000, "NONBLOCK": 0o4000}
_MESSAGE = _bits(
    {name: int(getattr(socket, name)) for name in dir(socket) if name.startswith("MSG_") and getattr(socket, name) > 0}
)
_EVENTS = _bits({
    "EPOLLIN": select.EPOLLIN, "EPOLLOUT": select.EPOLLOUT, "EPOLLPRI": select.EPOLLPRI, "EPOLLERR": select.EPOLLERR,
    "EPOLLHUP": select.EPOLLHUP, "EPOLLRDHUP": select.EPOLLRDHUP, "EPOLLEXCLUSIVE": select.EPOLLEXCLUSIVE,
    "EPOLLWAKEUP": 1 << 29, "EPOLLONESHOT": select.EPOLLONESHOT, "EPOLLET": 1 << 31,
})  # fmt: skip
_PROTECTION = _bits({"PROT_READ": 1, "PROT_WRITE": 2, "PROT_EXEC": 4}, "PROT_NONE")
_MAPPING = _bits({"MAP_SHARED": 1, "MAP_PRIVATE": 2, "MAP_FIXED": 16, "MAP_ANONYMOUS": 32, "MAP_DENYWRITE": 0x800,
                  "MAP_STACK": 0x20000, "MAP_NORESERVE": 0x4000})  # fmt: skip
_COMMANDS = {int(getattr(fcntl, name)): name for name in sorted(dir(fcntl), reverse=True) if name.startswith("F_") and name in (
    "F_DUPFD", "F_DUPFD_CLOEXEC", "F_GETFD", "F_SETFD", "F_GETFL", "F_SETFL", "F_GETLK", "F_SETLK", "F_SETLKW", "F_GETOWN",
    "F_SETOWN", "F_SETSIG", "F_GETSIG", "F_SETPIPE_SZ", "F_GETPIPE_SZ", "F_ADD_SEALS", "F_GET_SEALS")}  # fmt: skip
_CLOCKS = {
    0: "CLOCK_REALTIME",
    1: "CLOCK_MONOTONIC",
    2: "CLOCK_PROCESS_CPUTIME_ID",
    3: "CLOCK_THREAD_CPUTIME_ID",
    7: "CLOCK_BOOTTIME",
}
_PROTOCOLS = {1: "IPPROTO_ICMP", 6: "IPPROTO_TCP", 17: "IPPROTO_UDP", 132: "IPPROTO_SCTP", 262: "IPPROTO_MPTCP"}
_LEVELS = {1: "SOL_SOCKET", 0: "SOL_IP", 6: "SOL_TCP", 17: "SOL_UDP", 41: "SOL_IPV6"}
_WHENCE = {0: "SEEK_SET", 1: "SEEK_CUR", 2: "SEEK_END"}

# By call: how the values of some of its arguments are named.
_NAMED: dict[str, dict[int, Callable[[int], str]]] = {
    "openat": {2: _open_flags()},
    "open": {1: _open_flags()},
    "pipe2": {1: _open_flags()},
    "epoll_ctl": {1: _one({1: "EPOLL_CTL_ADD", 2: "EPOLL_CTL_DEL", 3: "EPOLL_CTL_MOD"}), 3: _EVENTS},
    "epoll_create1": {0: _bits({f"EPOLL_{name}": bits for name, bits in _CLOEXEC_NONBLOCK.items()})},
    "eventfd2": {1: _bits({f"EFD_{name}": bits for name, bits in _CLOEXEC_NONBLOCK.items()} | {"EFD_SEMAPHORE": 1})},
    "timerfd_create": {0: _one(_CLOCKS), 1: _bits({f"TFD_{name}": bits for name, bits in _CLOEXEC_NONBLOCK.items()})},
    "socket": {0: _one(_enum(socket.AddressFamily)), 1: _socket_type, 2: _one(_PROTOCOLS)},
    "socketpair": {0: _one(_enum(socket.AddressFamily)), 1: _socket_type},
    "accept4": {3: _CREATED},
    "sendto": {3: _MESSAGE},
    "recvfrom": {3: _MESSAGE},
    "sendmsg": {2: _MESSAGE},
    "recvmsg": {2: _MESSAGE},
    "sendmmsg": {3: _MESSAGE},
    "recvmmsg": {3: _MESSAGE},
    "shutdown": {1: _one({0: "SHUT_RD", 1: "SHUT_WR", 2: "SHUT_RDWR"})},
    "setsockopt": {1: _one(_LEVELS)},
    "getsockopt": {1: _one(_LEVELS)},
    "fcntl": {1: _one(_COMMANDS)},
    "futex": {1: _futex},
    "mmap": {2: _PROTECTION, 3: _MAPPING},
    "mprotect": {2: _PROTECTION},
    "kill": {1: _signal},
    "tgkill": {2: _signal},
    "rt_sigaction": {0: _signal},
    "lseek": {2: _one(_WHENCE)},
    "clock_gettime": {0: _one(_CLOCKS)},
    "clock_nanosleep": {0: _one(_CLOCKS), 1: _bits({"TIMER_ABSTIME": 1})},
}
