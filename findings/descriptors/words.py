"""Descriptors in words: "TCP 127.0.0.1:8080<-:51000", "epoll[12]", "unix /run/x.sock listening", "file".

The words are made here only:

words_of(result).of(call)            # of a call of a finished run; "" where nothing is known about its descriptor

words = DescriptorWords(process_of)  # while records still come, in the order of their times
words.take_name(name), words.take_end(end), words.take_call(call)
words.of(call)
"""

from __future__ import annotations

import bisect
import heapq
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial

from findings.models.descriptors import argument, processes
from findings.once import once
from probes.kernel import syscalls
from probes.measure.result import Call, Result, Thread
from probes.measure.rows import Descriptor
from probes.measure.sockets import Address, Role, SocketEnd, SocketName
from probes.words import visible

_MPTCP = 262  # IPPROTO_MPTCP
_PROTOCOLS = {6: "TCP", 17: "UDP", 1: "ICMP", 58: "ICMPv6", 132: "SCTP", 136: "UDP-Lite", _MPTCP: "MPTCP"}
_BY_TYPE: dict[int, str] = {1: "TCP", 2: "UDP", 3: "raw"}  # SOCK_STREAM, SOCK_DGRAM, SOCK_RAW
_FAMILIES = {16: "netlink", 17: "packet", 38: "crypto", 40: "vsock", 44: "XDP"}
# The kernel's functions that close files of a kind (struct file_operations, release).
_FILES = {
    "pipe_release": "pipe", "ep_eventpoll_release": "epoll", "eventfd_release": "eventfd", "timerfd_release": "timerfd",
    "signalfd_release": "signalfd", "inotify_release": "inotify", "fanotify_release": "fanotify",
    "io_uring_release": "io_uring",
    "userfaultfd_release": "userfaultfd", "seccomp_notify_release": "seccomp notifications", "pidfd_release": "pidfd",
    "tty_release": "terminal", "perf_release": "perf event", "bpf_map_release": "BPF map", "bpf_prog_release": "BPF program",
    "fuse_dev_release": "FUSE device", "mqueue_flush_file": "message queue",
    "ext4_release_file": "file", "xfs_file_release": "file", "btrfs_release_file": "file", "ovl_release": "file",
    "fuse_release": "file", "nfs_file_release": "file", "f2fs_release_file": "file", "zfs_release": "file",
    "v9fs_dir_release": "file", "simple_release": "file",
    "dcache_dir_close": "folder", "ext4_release_dir": "folder", "fuse_dir_release": "folder", "ovl_dir_release": "folder",
    "nfs_closedir": "folder", "offset_dir_release": "folder",
    "kernfs_fop_release": "file of sysfs", "proc_reg_release": "file of /proc", "seq_release": "file of /proc",
    "single_release": "file of /proc", "seq_release_private": "file of /proc", "proc_map_release": "file of /proc",
    "mem_release": "file of /proc", "proc_id_map_release": "file of /proc",
}  # fmt: skip
_SOCKET_CLOSES = "sock_close"
_WITHOUT_NUMBER = ("file", "folder", "terminal")  # their words alone are clear
_F_DUPFD, _F_DUPFD_CLOEXEC = 0, 1030  # uapi/linux/fcntl.h
# The result of these calls is a descriptor of this kind. One of its kinds in a process: "epoll[12]" says which.
_MAKES = {
    "epoll_create": "epoll", "epoll_create1": "epoll", "eventfd": "eventfd", "eventfd2": "eventfd", "timerfd_create": "timerfd",
    "signalfd": "signalfd", "signalfd4": "signalfd", "inotify_init": "inotify", "inotify_init1": "inotify",
    "io_uring_setup": "io_uring", "pidfd_open": "pidfd", "userfaultfd": "userfaultfd", "perf_event_open": "perf event",
    "fanotify_init": "fanotify", "memfd_create": "memfd", "bpf": "bpf",
}  # fmt: skip
_OPENS_A_FILE = {"open", "openat", "openat2", "creat"}
_QUEUES = {"pipe": "pipe", "eventfd": "eventfd", "signalfd": "signalfd", "timerfd": "timerfd", "inotify": "inotify"}
_CALLS = frozenset(_MAKES) | _OPENS_A_FILE | {"socket", "dup", "dup2", "dup3", "fcntl", "close", "close_range"}


def socket_words(name: SocketName) -> str:
    """A socket by its addresses.

    >>> here, there = Address("127.0.0.1", 8080), Address("127.0.0.1", 51000)
    >>> socket_words(SocketName(0, 1, 5, 7, 0, 2, 1, 6, Role.ACCEPTED, here, there))
    'TCP 127.0.0.1:8080<-:51000'
    """
    if name.family == socket.AF_UNIX:
        return _unix_words(name)
    kind = kind_words(name.family, name.type, name.protocol)
    if name.local is None:
        return f"{kind} socket"
    local = _address(name.local)
    if name.role is Role.LISTENING:
        return f"{kind} {local} listening"
    if name.peer is None:
        return f"{kind} {local}" if name.local.port else f"{kind} socket"
    if not name.local.port:  # the connection was refused
        return f"{kind} ->{_address(name.peer)}"
    arrow = {Role.ACCEPTED: "<-", Role.CONNECTED: "->"}.get(name.role, "<->")
    return f"{kind} {local}{arrow}{_address(name.peer, beside=name.local)}"


def kind_words(family: int, type_: int, protocol: int) -> str:
    """The kind of a socket: TCP, UDP, unix ..."""
    if family == socket.AF_UNIX:
        return "unix"
    if family not in (socket.AF_INET, socket.AF_INET6):
        return _FAMILIES.get(family, f"family {family}")
    return _PROTOCOLS.get(protocol) or _BY_TYPE.get(type_, f"protocol {protocol}")


@cache
def file_words(descriptor: Descriptor) -> str:
    """As in "TCP", "unix socket", "epoll", "file"; "" for what has no word here.

    >>> [file_words(each) for each in (Descriptor("sock_close", 2, 1, 6), Descriptor("pipe_release"), Descriptor("x_release"))]
    ['TCP', 'pipe', '']
    """
    if descriptor.release != _SOCKET_CLOSES and not descriptor.family:
        return _FILES.get(descriptor.release, "")
    return kind_words(descriptor.family, descriptor.type, descriptor.protocol)


def _address(address: Address, beside: Address | None = None) -> str:
    """host:port, without the host if it is that of the address beside it."""
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f":{address.port}" if beside and beside.host == address.host else f"{host}:{address.port}"


def _unix_words(name: SocketName) -> str:
    path = visible(name.path)
    match name.role:
        case Role.LISTENING:
            return f"unix {path} listening" if path else "unix listening"
        case Role.PAIRED:
            return "unix socketpair"
        case Role.ACCEPTED if path:
            return f"unix {path}<-"
        case Role.CONNECTED if path:
            return f"unix ->{path}"
    return f"unix {path}" if path else "unix socket"


@dataclass(slots=True)
class _Named:
    """What a descriptor is from a moment on. `inode`: of a socket with addresses; 0: none."""

    words: str = ""
    inode: int = 0
    name: SocketName | None = None


_NOTHING = _Named()
_A_MOMENT = 1_000_000  # ns


@dataclass(slots=True)
class _History:
    """What one number of one process was, in the order of time."""

    since: list[int] = field(default_factory=list)
    named: list[_Named] = field(default_factory=list)

    def add(self, at: int, named: _Named) -> None:
        self.since.append(at)
        self.named.append(named)

    def at(self, moment: int) -> _Named:
        place = bisect.bisect_right(self.since, moment)
        return self.named[place - 1] if place else _NOTHING

    def before_close(self, moment: int) -> _Named:
        """What a close at that moment closes. The end of a socket may be reported a moment before its close begins."""
        place = bisect.bisect_left(self.since, moment)
        if place > 1 and not self.named[place - 1].words and self.since[place - 1] > moment - _A_MOMENT:
            place -= 1
        return self.named[place - 1] if place else _NOTHING

    @property
    def now(self) -> _Named:
        return self.named[-1] if self.named else _NOTHING


class DescriptorWords:
    """The descriptors of all processes. What is taken must come in the order of its time; `of` answers for any time until then.

    `process_of` gives the process of a thread (any number that is the same for all its threads). A process that `starts`
    has the descriptors of its parent.
    """

    def __init__(self, process_of: Callable[[int], int]) -> None:
        self._process_of = process_of
        self._tables: dict[int, dict[int, _History]] = {}
        self._by_socket: dict[int, SocketName] = {}

    def starts(self, process: int, parent: int, at: int) -> None:
        """A process was made (fork): it has copies of its parent's descriptors."""
        table = self._tables.setdefault(process, {})
        for fd, history in self._tables.get(parent, {}).items():
            if history.now.words:
                table.setdefault(fd, _History()).add(at, history.now)

    def take_name(self, name: SocketName) -> None:
        """A socket was reported."""
        if name.socket:
            self._by_socket[name.socket] = name
        if name.fd >= 0:
            self._put(name.thread, name.fd, name.at, _Named(socket_words(name), name.inode, name))

    def take_end(self, end: SocketEnd) -> None:
        """A socket was closed: no process has it any more."""
        if end.open:
            return
        for table in self._tables.values():
            history = table.get(end.name.fd)
            if history and history.now.inode == end.name.inode:
                history.add(end.at, _NOTHING)

    def take_call(self, call: Call) -> None:
        """A call that may have made or closed a descriptor."""
        if call.name not in _CALLS or call.result is None or call.result < 0:
            return
        match call.name:
            case "close":
                self._put(call.thread, argument(call, 0), call.enter, _NOTHING)
            case "close_range":
                self._close_range(call)
            case "dup" | "dup2" | "dup3":
                self._put(call.thread, call.result, call.exit, self._table(call).get(argument(call, 0), _History()).now)
            case "fcntl":
                if argument(call, 1) in (_F_DUPFD, _F_DUPFD_CLOEXEC):
                    self._put(call.thread, call.result, call.exit, self._table(call).get(argument(call, 0), _History()).now)
            case "socket":
                kind = kind_words(argument(call, 0), argument(call, 1) & 0xF, argument(call, 2))
                self._put(call.thread, call.result, call.exit, _Named(f"{kind} socket"))
            case _:
                made = _MAKES.get(call.name)
                self._put(call.thread, call.result, call.exit, _Named(f"{made}[{call.result}]" if made else "file"))

    def of(self, call: Call) -> str:
        """What the call's descriptor is; "" if that is not known."""
        return self._named(call).words or _by_its_file(call) or _by_its_sleeps(call)

    def name_of(self, call: Call) -> SocketName | None:
        """The addresses of the socket that the call uses or, an accept, returns; None: no socket, or not known."""
        if call.name in syscalls.ACCEPTS and call.result is not None and call.result >= 0:
            accepted = self._at(call.thread, call.result, call.exit).name
            return accepted or self._named(call).name
        return self._named(call).name

    def at(self, thread: int, fd: int, moment: int) -> str:
        """What a descriptor of a thread's process is at a moment."""
        return self._at(thread, fd, moment).words

    def from_then_on(self, thread: int, fd: int, moment: int) -> str:
        """What it is at that moment or, if it is nothing then, what it becomes next."""
        history = self._tables.get(self._process_of(thread), {}).get(fd)
        if history is None or (now := history.at(moment).words):
            return now if history else ""
        later = bisect.bisect_right(history.since, moment)
        return next((named.words for named in history.named[later:] if named.words), "")

    def name_at(self, thread: int, fd: int, moment: int) -> SocketName | None:
        """The addresses of a descriptor of a thread's process at a moment; None: no socket, or not known."""
        return self._at(thread, fd, moment).name

    def of_socket(self, number: int) -> SocketName | None:
        """The addresses of a socket by its number (Call.socket, Message.socket)."""
        return self._by_socket.get(number)

    def _named(self, call: Call) -> _Named:
        if call.fd is not None and (found := self._of_call(call, call.fd)).words:
            return found
        if call.socket and (name := self._by_socket.get(call.socket)):
            return _Named(socket_words(name), name.inode, name)
        return _NOTHING

    def _at(self, thread: int, fd: int, moment: int) -> _Named:
        history = self._tables.get(self._process_of(thread), {}).get(fd)
        return history.at(moment) if history else _NOTHING

    def _of_call(self, call: Call, fd: int) -> _Named:
        """What the descriptor was when the call was about it."""
        if call.name != "close":
            return self._at(call.thread, fd, call.exit if call.name in _AT_THE_END else call.enter)
        history = self._tables.get(self._process_of(call.thread), {}).get(fd)
        return history.before_close(call.enter) if history else _NOTHING

    def _table(self, call: Call) -> dict[int, _History]:
        return self._tables.setdefault(self._process_of(call.thread), {})

    def _put(self, thread: int, fd: int, at: int, named: _Named) -> None:
        self._tables.setdefault(self._process_of(thread), {}).setdefault(fd, _History()).add(at, named)

    def _close_range(self, call: Call) -> None:
        if not argument(call, 2) & 4:  # CLOSE_RANGE_CLOEXEC closes nothing yet
            for fd, history in self._table(call).items():
                if argument(call, 0) <= fd <= argument(call, 1):
                    history.add(call.enter, _NOTHING)


_AT_THE_END = frozenset({"connect", "bind", "listen"})  # the call gives the socket its address


def _by_its_file(call: Call) -> str:
    """As the kernel knows the file of the call; "" where the recording does not say it."""
    if call.descriptor is None or call.fd is None:
        return ""
    words = file_words(call.descriptor)
    if call.descriptor.family:
        return words if words.endswith("socket") else f"{words} socket"
    return words if not words or words.startswith(_WITHOUT_NUMBER) else f"{words}[{call.fd}]"


def _by_its_sleeps(call: Call) -> str:
    """A pipe, whose numbers no record has, is known where a call on it slept."""
    if call.fd is None or not call.sleeps:
        return ""
    kind = _QUEUES.get(call.sleeps[0].queue, "")
    return f"{kind}[{call.fd}]" if kind else ""


_Event = tuple[int, int, Callable[[], None]]


@once
def words_of(result: Result) -> DescriptorWords:
    """The descriptors of a finished run, or of a part of it: the names of sockets are those of all its threads."""
    process_of = processes(result.threads)
    words = DescriptorWords(process_of.__getitem__)
    events: Iterable[_Event] = heapq.merge(
        _births(words, result.threads, process_of),
        ((name.at, 1, partial(words.take_name, name)) for name in result.socket_names if name.thread in process_of),
        ((end.at, 2, partial(words.take_end, end)) for end in result.socket_ends),
        ((call.exit, 3, partial(words.take_call, call)) for call in _makers(result.calls)),
        key=lambda event: event[:2],
    )
    for _at, _order, take in events:
        take()
    return words


def _births(words: DescriptorWords, threads: Iterable[Thread], process_of: Mapping[int, int]) -> list[_Event]:
    births = [
        (thread.start, 0, partial(words.starts, thread.serial, process_of[thread.parent], thread.start))
        for thread in threads
        if process_of[thread.serial] == thread.serial and thread.parent in process_of
    ]
    return sorted(births, key=lambda event: event[0])


def _makers(calls: Iterable[Call]) -> list[Call]:
    return sorted((call for call in calls if call.name in _CALLS), key=lambda call: call.exit)
