"""The names of flags, commands and options in the arguments and results of calls, as programs write them."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from functools import cache

from probes.kernel.parameters import signed
from probes.measure.result import Call

Words = Callable[[int], str]  # the words for the low 32 bits of a register

# fcntl takes no third argument with these commands (man 2 fcntl): its register has no meaning.
_WITHOUT_ARGUMENT = {"F_GETFD", "F_GETFL", "F_GETOWN", "F_GETSIG", "F_GETLEASE", "F_GETPIPE_SZ", "F_GET_SEALS"}


def argument_words(call: Call) -> Mapping[int, Words]:
    """Functions that name the values of some arguments, by the index of the argument."""
    second = _int(call, 1)
    if call.name == "fcntl":
        return _FCNTL | ({2: _OF_COMMAND[second]} if second in _OF_COMMAND else {})
    if call.name in ("setsockopt", "getsockopt"):
        return _SOCKET_OPTION | ({2: _OPTIONS[second]} if second in _OPTIONS else {})
    return _NAMED.get(call.name, {})


def takes(call: Call, parameters: int) -> int:
    """How many of its parameters the call uses: open ignores the mode unless it creates a file (see also _WITHOUT_ARGUMENT)."""
    before_last = _int(call, parameters - 2) if parameters >= 2 else 0
    if call.name in _WITH_MODE and not before_last & _MAKES_FILES:
        return parameters - 1
    if call.name == "fcntl" and _COMMANDS.get(before_last) in _WITHOUT_ARGUMENT:
        return parameters - 1
    return parameters


def result_words(call: Call) -> str:
    """The flags that the call returned; "" if its result is not a set of flags."""
    names = _RETURNED.get(_int(call, 1)) if call.name == "fcntl" else None
    return names(call.result) if names and call.result is not None and call.errno is None else ""


def _int(call: Call, index: int) -> int:
    """An argument of the C type int: the kernel ignores the upper half of its register. 0 if the call has fewer arguments."""
    return call.args[index] & 0xFFFFFFFF if index < len(call.args) else 0


# -- kinds of values ----------------------------------------------------------------------------------------------------


def _bits(names: Mapping[str, int], zero: str = "0") -> Words:
    """Words for a set of bits: the names, and the bits without a name as a number."""

    @cache
    def words(value: int) -> str:
        found, rest = [], value
        for name, bits in names.items():
            if bits and rest & bits == bits:
                found.append(name)
                rest &= ~bits
        return "|".join(found + ([f"{rest:#x}"] if rest else [])) or zero

    return words


def _name_in(names: Mapping[int, str]) -> Words:
    return lambda value: names.get(value, str(signed(value, 32)))


def _numbered(prefix: str, names: str, since: int = 0) -> dict[int, str]:
    return {number: prefix + name for number, name in enumerate(names.split(), since)}


def _from(module: object, prefix: str, names: Sequence[str]) -> dict[int, str]:
    """The numbers of those names that this Python knows."""
    return {int(getattr(module, prefix + name)): prefix + name for name in names if hasattr(module, prefix + name)}


def _number(value: int) -> str:
    return str(signed(value, 32))


def _open_flags() -> Words:
    names = ("O_TMPFILE", "O_SYNC", "O_DSYNC", "O_CREAT", "O_EXCL", "O_NOCTTY", "O_TRUNC", "O_APPEND", "O_NONBLOCK", "O_ASYNC",
             "O_DIRECT", "O_DIRECTORY", "O_NOFOLLOW", "O_NOATIME", "O_CLOEXEC", "O_PATH")  # fmt: skip
    known = {name: getattr(os, name) for name in names if hasattr(os, name)}
    # 64-bit kernels set O_LARGEFILE (uapi fcntl.h; arm64 has another bit than x86). The C library's constant is 0.
    rest = _bits(known | {"O_LARGEFILE": 0o400000 if os.O_NOFOLLOW == 0o100000 else 0o100000}, "")

    def words(value: int) -> str:
        access = ("O_RDONLY", "O_WRONLY", "O_RDWR", "3")[value & os.O_ACCMODE]
        others = rest(value & ~os.O_ACCMODE)
        return f"{access}|{others}" if others else access

    return words


def _socket_type(value: int) -> str:
    kinds = {1: "SOCK_STREAM", 2: "SOCK_DGRAM", 3: "SOCK_RAW", 5: "SOCK_SEQPACKET"}
    flags = _CREATED(value & ~0xF)
    return kinds.get(value & 0xF, str(value & 0xF)) + ("" if flags == "0" else f"|{flags}")


def _futex(value: int) -> str:
    operation = value & 0x7F  # without FUTEX_PRIVATE_FLAG and FUTEX_CLOCK_REALTIME
    return _FUTEX.get(operation, str(value))


def _signal(value: int) -> str:
    """The name of a signal. A real-time signal is named as in programs.

    >>> _signal(15), _signal(34), _signal(35), _signal(64), _signal(0)
    ('SIGTERM', 'SIGRTMIN', 'SIGRTMIN+1', 'SIGRTMAX', '0')
    """
    if value in _SIGNALS:
        return _SIGNALS[value]
    first, last = int(signal.SIGRTMIN), int(signal.SIGRTMAX)
    return f"SIGRTMIN+{value - first}" if first < value < last else str(signed(value, 32))


def _clone(value: int) -> str:
    """The flags of clone. The low 8 bits are the signal that the parent gets at the child's end (man 2 clone)."""
    flags, ends = _CLONE(value & ~0xFF), _signal(value & 0xFF) if value & 0xFF else ""
    return "|".join(words for words in (flags if flags != "0" else "", ends) if words) or "0"


# -- names --------------------------------------------------------------------------------------------------------------

_MAKES_FILES = os.O_CREAT | os.O_TMPFILE & ~os.O_DIRECTORY
_WITH_MODE = {"open", "openat"}
_SIGNALS = {int(member): member.name for member in signal.Signals}
_CREATED = _bits({"SOCK_CLOEXEC": 0o2000000, "SOCK_NONBLOCK": 0o4000})
_CLOEXEC_NONBLOCK = {"CLOEXEC": 0o2000000, "NONBLOCK": 0o4000}
_MESSAGE = _bits(
    {name: int(getattr(socket, name)) for name in dir(socket) if name.startswith("MSG_") and getattr(socket, name) > 0}
    | {"MSG_WAITFORONE": 0x10000, "MSG_ZEROCOPY": 0x4000000}
)
_EVENTS = _bits({
    "EPOLLIN": select.EPOLLIN, "EPOLLOUT": select.EPOLLOUT, "EPOLLPRI": select.EPOLLPRI, "EPOLLERR": select.EPOLLERR,
    "EPOLLHUP": select.EPOLLHUP, "EPOLLRDHUP": select.EPOLLRDHUP, "EPOLLEXCLUSIVE": select.EPOLLEXCLUSIVE,
    "EPOLLWAKEUP": 1 << 29, "EPOLLONESHOT": select.EPOLLONESHOT, "EPOLLET": 1 << 31,
})  # fmt: skip
_PROTECTION = _bits({"PROT_READ": 1, "PROT_WRITE": 2, "PROT_EXEC": 4}, "PROT_NONE")
_MAPPING = _bits({"MAP_SHARED": 1, "MAP_PRIVATE": 2, "MAP_FIXED": 16, "MAP_ANONYMOUS": 32, "MAP_DENYWRITE": 0x800,
                  "MAP_POPULATE": 0x8000, "MAP_STACK": 0x20000, "MAP_NORESERVE": 0x4000})  # fmt: skip
_COMMANDS = _from(fcntl, "F_", (
    "DUPFD", "DUPFD_CLOEXEC", "GETFD", "SETFD", "GETFL", "SETFL", "GETLK", "SETLK", "SETLKW", "GETOWN", "SETOWN", "GETSIG",
    "SETSIG", "GETLEASE", "SETLEASE", "NOTIFY", "GETPIPE_SZ", "SETPIPE_SZ", "GET_SEALS", "ADD_SEALS", "OFD_GETLK", "OFD_SETLK",
    "OFD_SETLKW")) | {15: "F_SETOWN_EX", 16: "F_GETOWN_EX"}  # fmt: skip
_CLONE = _bits({
    "CLONE_VM": 0x100, "CLONE_FS": 0x200, "CLONE_FILES": 0x400, "CLONE_SIGHAND": 0x800, "CLONE_PIDFD": 0x1000,
    "CLONE_PTRACE": 0x2000, "CLONE_VFORK": 0x4000, "CLONE_PARENT": 0x8000, "CLONE_THREAD": 0x10000, "CLONE_NEWNS": 0x20000,
    "CLONE_SYSVSEM": 0x40000, "CLONE_SETTLS": 0x80000, "CLONE_PARENT_SETTID": 0x100000, "CLONE_CHILD_CLEARTID": 0x200000,
    "CLONE_UNTRACED": 0x800000, "CLONE_CHILD_SETTID": 0x1000000, "CLONE_NEWUTS": 0x4000000, "CLONE_NEWIPC": 0x8000000,
    "CLONE_NEWUSER": 0x10000000, "CLONE_NEWPID": 0x20000000, "CLONE_NEWNET": 0x40000000, "CLONE_IO": 0x80000000,
})  # fmt: skip
_FUTEX = _numbered("FUTEX_", "WAIT WAKE FD REQUEUE CMP_REQUEUE WAKE_OP LOCK_PI UNLOCK_PI TRYLOCK_PI WAIT_BITSET WAKE_BITSET"
                   " WAIT_REQUEUE_PI CMP_REQUEUE_PI LOCK_PI2")  # fmt: skip
_REQUESTS = {  # uapi/asm-generic/ioctls.h, sockios.h
    0x5401: "TCGETS", 0x5402: "TCSETS", 0x5403: "TCSETSW", 0x540F: "TIOCGPGRP", 0x5410: "TIOCSPGRP", 0x5411: "TIOCOUTQ",
    0x5413: "TIOCGWINSZ", 0x541B: "FIONREAD", 0x5421: "FIONBIO", 0x5450: "FIONCLEX", 0x5451: "FIOCLEX", 0x5452: "FIOASYNC",
    0x8901: "FIOSETOWN", 0x8902: "SIOCSPGRP", 0x8903: "FIOGETOWN", 0x8904: "SIOCGPGRP", 0x8905: "SIOCATMARK",
}  # fmt: skip
_CLOCKS = {
    0: "CLOCK_REALTIME",
    1: "CLOCK_MONOTONIC",
    2: "CLOCK_PROCESS_CPUTIME_ID",
    3: "CLOCK_THREAD_CPUTIME_ID",
    7: "CLOCK_BOOTTIME",
}
_FAMILIES = {int(member): member.name for member in socket.AddressFamily}
_PROTOCOLS = {1: "IPPROTO_ICMP", 6: "IPPROTO_TCP", 17: "IPPROTO_UDP", 132: "IPPROTO_SCTP", 262: "IPPROTO_MPTCP"}
_LEVELS = {1: "SOL_SOCKET", 0: "SOL_IP", 6: "SOL_TCP", 17: "SOL_UDP", 41: "SOL_IPV6"}
_WHENCE = {0: "SEEK_SET", 1: "SEEK_CUR", 2: "SEEK_END"}
_WAITS = {"WNOHANG": 1, "WUNTRACED": 2, "WCONTINUED": 8, "__WALL": 0x40000000}
_PATHS = _bits({"AT_SYMLINK_NOFOLLOW": 0x100, "AT_NO_AUTOMOUNT": 0x800, "AT_EMPTY_PATH": 0x1000})
_ACCESS = _bits({"R_OK": 4, "W_OK": 2, "X_OK": 1}, "F_OK")
_HOW = _numbered("SIG_", "BLOCK UNBLOCK SETMASK")

# The third argument of fcntl, by the command.
_OF_COMMAND: dict[int, Words] = {
    fcntl.F_SETFL: _open_flags(),
    fcntl.F_SETFD: _bits({"FD_CLOEXEC": 1}),
    fcntl.F_SETOWN: _number,
    fcntl.F_SETSIG: _signal,
}
_RETURNED: dict[int, Words] = {fcntl.F_GETFL: _open_flags(), fcntl.F_GETFD: _bits({"FD_CLOEXEC": 1}, "")}
_FCNTL: dict[int, Words] = {1: _name_in(_COMMANDS)}

# The options of a socket, by their level.
_OPTIONS: dict[int, Words] = {
    1: _name_in(_from(socket, "SO_", (
        "DEBUG", "REUSEADDR", "TYPE", "ERROR", "DONTROUTE", "BROADCAST", "SNDBUF", "RCVBUF", "KEEPALIVE", "OOBINLINE",
        "PRIORITY", "LINGER", "REUSEPORT", "PASSCRED", "PEERCRED", "RCVLOWAT", "SNDLOWAT", "RCVTIMEO", "SNDTIMEO",
        "BINDTODEVICE", "ACCEPTCONN", "MARK", "PROTOCOL", "DOMAIN", "INCOMING_CPU",
    )) | {32: "SO_SNDBUFFORCE", 33: "SO_RCVBUFFORCE", 46: "SO_BUSY_POLL", 60: "SO_ZEROCOPY"}),
    0: _name_in(_from(socket, "IP_", ("TOS", "TTL", "HDRINCL", "RECVTOS", "MULTICAST_IF", "MULTICAST_TTL", "MULTICAST_LOOP",
                                  "ADD_MEMBERSHIP", "DROP_MEMBERSHIP", "BIND_ADDRESS_NO_PORT")) | {11: "IP_RECVERR"}),
    6: _name_in(_from(socket, "TCP_", (
        "NODELAY", "MAXSEG", "CORK", "KEEPIDLE", "KEEPINTVL", "KEEPCNT", "SYNCNT", "LINGER2", "DEFER_ACCEPT", "WINDOW_CLAMP",
        "INFO", "QUICKACK", "CONGESTION", "USER_TIMEOUT", "FASTOPEN", "NOTSENT_LOWAT",
    ))),
    17: _name_in({1: "UDP_CORK", 103: "UDP_SEGMENT", 104: "UDP_GRO"}),
    41: _name_in(_from(socket, "IPV6_", ("UNICAST_HOPS", "MULTICAST_HOPS", "JOIN_GROUP", "LEAVE_GROUP", "V6ONLY", "TCLASS"))),
}  # fmt: skip
_SOCKET_OPTION: dict[int, Words] = {1: _name_in(_LEVELS)}

# By call: functions that name the values of some of its arguments, by the index of the argument.
_NAMED: dict[str, Mapping[int, Words]] = {
    "openat": {2: _open_flags()},
    "open": {1: _open_flags()},
    "pipe2": {1: _open_flags()},
    "dup3": {2: _bits({"O_CLOEXEC": os.O_CLOEXEC})},
    "access": {1: _ACCESS},
    "faccessat": {2: _ACCESS},
    "faccessat2": {2: _ACCESS, 3: _PATHS},
    "newfstatat": {3: _PATHS},
    "statx": {2: _PATHS},
    "unlinkat": {2: _bits({"AT_REMOVEDIR": 0x200})},
    "lseek": {2: _name_in(_WHENCE)},
    "flock": {1: _bits({"LOCK_SH": 1, "LOCK_EX": 2, "LOCK_NB": 4, "LOCK_UN": 8})},
    "ioctl": {1: lambda value: _REQUESTS.get(value, f"{value:#x}")},
    "epoll_ctl": {1: _name_in({1: "EPOLL_CTL_ADD", 2: "EPOLL_CTL_DEL", 3: "EPOLL_CTL_MOD"}), 3: _EVENTS},
    "epoll_create1": {0: _bits({f"EPOLL_{name}": bits for name, bits in _CLOEXEC_NONBLOCK.items()})},
    "eventfd2": {1: _bits({f"EFD_{name}": bits for name, bits in _CLOEXEC_NONBLOCK.items()} | {"EFD_SEMAPHORE": 1})},
    "inotify_init1": {0: _bits({f"IN_{name}": bits for name, bits in _CLOEXEC_NONBLOCK.items()})},
    "signalfd4": {3: _bits({f"SFD_{name}": bits for name, bits in _CLOEXEC_NONBLOCK.items()})},
    "timerfd_create": {0: _name_in(_CLOCKS), 1: _bits({f"TFD_{name}": bits for name, bits in _CLOEXEC_NONBLOCK.items()})},
    "timerfd_settime": {1: _bits({"TFD_TIMER_ABSTIME": 1, "TFD_TIMER_CANCEL_ON_SET": 2})},
    "memfd_create": {1: _bits({"MFD_CLOEXEC": 1, "MFD_ALLOW_SEALING": 2})},
    "socket": {0: _name_in(_FAMILIES), 1: _socket_type, 2: _name_in(_PROTOCOLS)},
    "socketpair": {0: _name_in(_FAMILIES), 1: _socket_type},
    "accept4": {3: _CREATED},
    "sendto": {3: _MESSAGE},
    "recvfrom": {3: _MESSAGE},
    "sendmsg": {2: _MESSAGE},
    "recvmsg": {2: _MESSAGE},
    "sendmmsg": {3: _MESSAGE},
    "recvmmsg": {3: _MESSAGE},
    "shutdown": {1: _name_in({0: "SHUT_RD", 1: "SHUT_WR", 2: "SHUT_RDWR"})},
    "io_uring_enter": {3: _bits({"IORING_ENTER_GETEVENTS": 1, "IORING_ENTER_SQ_WAKEUP": 2, "IORING_ENTER_SQ_WAIT": 4,
                                 "IORING_ENTER_EXT_ARG": 8, "IORING_ENTER_REGISTERED_RING": 16})},
    "futex": {1: _futex},
    "mmap": {2: _PROTECTION, 3: _MAPPING},
    "mprotect": {2: _PROTECTION},
    "clone": {0: _clone},
    "wait4": {2: _bits(_WAITS)},
    "waitid": {0: _name_in(_numbered("P_", "ALL PID PGID PIDFD")),
               3: _bits({"WNOHANG": 1, "WSTOPPED": 2, "WEXITED": 4, "WCONTINUED": 8, "WNOWAIT": 0x1000000})},
    "kill": {1: _signal},
    "tkill": {1: _signal},
    "tgkill": {2: _signal},
    "pidfd_send_signal": {1: _signal},
    "rt_sigqueueinfo": {1: _signal},
    "rt_tgsigqueueinfo": {2: _signal},
    "rt_sigaction": {0: _signal},
    "rt_sigprocmask": {0: _name_in(_HOW)},
    "clock_gettime": {0: _name_in(_CLOCKS)},
    "clock_nanosleep": {0: _name_in(_CLOCKS), 1: _bits({"TIMER_ABSTIME": 1})},
    "getrandom": {2: _bits({"GRND_NONBLOCK": 1, "GRND_RANDOM": 2})},
}  # fmt: skip
