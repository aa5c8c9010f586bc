"""What the descriptors of each process are, followed from call to call: listeners, connections, epoll sets.

A Descriptor stands for an open file description. fork and dup share it (man 2 open), and so do the processes here: O_NONBLOCK
and the registrations in epoll belong to the description. What was opened before the recording is unknown until a call shows it.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from probes.measure.result import Call, Thread

O_NONBLOCK, O_ASYNC, O_CLOEXEC = (
    0o4000,
    0o20000,
    0o2000000,
)  # uapi/asm-generic/fcntl.h; SOCK_NONBLOCK and SOCK_CLOEXEC are the same
_F_DUPFD, _F_SETFD, _F_SETFL, _F_DUPFD_CLOEXEC = 0, 2, 4, 1030
_READ_OR_WRITE = 0x1 | 0x4  # EPOLLIN, EPOLLOUT (uapi/linux/eventpoll.h)
_FIONBIO, _FIOASYNC, _FIOCLEX, _FIONCLEX = 0x5421, 0x5452, 0x5451, 0x5450
_SOCK_DGRAM = 2
_INTERNET_AND_UNIX = {1, 2, 10}  # AF_UNIX, AF_INET, AF_INET6
_SOL_SOCKET, _SO_REUSEPORT = 1, 15
EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD = 1, 2, 3
OPENS = frozenset(
    {"open", "openat", "openat2", "creat", "memfd_create", "timerfd_create", "eventfd2", "signalfd4", "inotify_init1"}
)
NAMES = OPENS | {
    "socket", "bind", "listen", "connect", "setsockopt", "fcntl", "ioctl", "close", "close_range", "dup", "dup2", "dup3",
    "epoll_create", "epoll_create1", "epoll_ctl", "execve", "execveat",
}  # fmt: skip


class Kind(enum.Enum):
    """What a descriptor is."""

    LISTENER = enum.auto()
    CONNECTION = enum.auto()  # accepted from a client
    PEER = enum.auto()  # a TCP or UDP socket that was opened before the recording, or came from another process
    CLIENT = enum.auto()  # connected to a server
    DATAGRAM = enum.auto()
    SOCKET = enum.auto()  # neither connected nor listening yet
    EPOLL = enum.auto()
    SIGNALFD = enum.auto()
    OTHER = enum.auto()


@dataclass(slots=True, eq=False)
class EpollSet:
    """One eventpoll: which descriptors were added to it, and which threads wait on it."""

    whole: bool = False  # it was made in the recording, which therefore has all its members
    members: set[Descriptor] = field(default_factory=set)  # all that were ever added
    waiters: set[int] = field(default_factory=set)
    reported: int = 0  # when a wait last returned an event
    reporter: int = 0  # the thread of that wait


@dataclass(slots=True, eq=False)
class Descriptor:
    """One open file description."""

    kind: Kind
    thread: int  # that opened it; 0: before the recording
    since: int  # ns
    non_blocking: bool = False
    signals: bool = False  # O_ASYNC: the kernel sends a signal for each change
    close_on_exec: bool = False
    bound: bool = False
    reuseport: bool = False
    used: int = 0  # when its last accept or read with a result ended
    epoll: EpollSet | None = None  # the set it was added to last
    events: int = 0  # what its last registration asked for; 0: not known
    registered: bool = False  # it was in an epoll set once
    taken_at: int = 0  # when the wait returned after which a thread took it out of its epoll set
    taken_by: int = 0  # the thread of that wait
    own_set: EpollSet | None = None  # of Kind.EPOLL
    readers: dict[int, int] = field(default_factory=dict)  # how many reads with a result each thread made
    listener: Descriptor | None = None  # of Kind.CONNECTION

    @property
    def serves(self) -> bool:
        """Do clients send to it?"""
        return self.kind in (Kind.CONNECTION, Kind.PEER) or (self.kind is Kind.DATAGRAM and self.bound)


def processes(threads: Iterable[Thread]) -> dict[int, int]:
    """The process of each thread, both by serial number; a process has the number of its first thread."""
    found: dict[int, int] = {}
    pids: dict[int, int] = {}
    joined: dict[int, int] = {}  # processes that existed before the recording
    for thread in sorted(threads, key=lambda thread: (thread.start, thread.parent != 0)):
        parent = found.get(thread.parent)
        if parent is None:
            process = joined.setdefault(thread.pid, thread.serial)
        else:
            process = parent if pids[parent] == thread.pid or thread.kernel_worker else thread.serial
        found[thread.serial] = process
        pids.setdefault(process, thread.pid)
    return found


def argument(call: Call, number: int) -> int:
    """An argument of a call as the kernel reads an int; 0 where it is not known."""
    return call.args[number] & 0xFFFFFFFF if number < len(call.args) else 0


class Descriptors:
    """The tables of all processes at one moment of the run. `take` moves on by one call, in the order of their ends."""

    def __init__(self, threads: Sequence[Thread]) -> None:
        self.process_of = processes(threads)
        self._tables: dict[int, dict[int, Descriptor]] = {}
        births = [thread for thread in threads if self.process_of[thread.serial] == thread.serial]
        self._births = sorted(births, key=lambda thread: -thread.start)
        self.listening: set[int] = set()  # processes that have a listener or a bound datagram socket

    def table(self, thread: int) -> dict[int, Descriptor]:
        """The table of the thread's process."""
        return self._tables.setdefault(self.process_of[thread], {})

    def at(self, call: Call) -> Descriptor | None:
        """The descriptor that a call uses; None: not known."""
        return None if call.fd is None else self._tables.get(self.process_of[call.thread], {}).get(call.fd)

    def has_listener(self, process: int) -> bool:
        """Has the process a descriptor that is known to be a listener by now, or a bound datagram socket?"""
        table = self._tables.get(process, {})
        return any(each.kind is Kind.LISTENER or (each.kind is Kind.DATAGRAM and each.bound) for each in table.values())

    def listens_still(self, process: int) -> bool:
        """Has the process not closed its listener?"""
        if process in self.listening and not self.has_listener(process):
            self.listening.discard(process)
        return process in self.listening

    def put(self, call: Call, number: int, descriptor: Descriptor) -> Descriptor:
        """A call opened that descriptor in its process."""
        self.table(call.thread)[number] = descriptor
        return descriptor

    def until(self, now: int) -> None:
        """The processes that started until then get copies of their parents' tables (kernel/fork.c: copy_files)."""
        while self._births and self._births[-1].start <= now:
            child = self._births.pop()
            parent = self.process_of.get(child.parent)
            self._tables[child.serial] = dict(self._tables.get(parent, {})) if parent is not None else {}
            if parent in self.listening:
                self.listening.add(child.serial)

    def listens(self, call: Call) -> Descriptor:
        """The listener that a call uses: listen or accept."""
        self.listening.add(self.process_of[call.thread])
        found = self.at(call)
        if found is None or found.kind in (Kind.CONNECTION, Kind.CLIENT, Kind.EPOLL):  # the recording lacks a close
            found = Descriptor(Kind.LISTENER, 0, 0)
            if call.fd is not None:
                self.put(call, call.fd, found)
        found.kind = Kind.LISTENER
        return found

    def of_socket(self, call: Call) -> Descriptor | None:
        """The descriptor of a reading call; one that was not known is a PEER where the probes saw that it is a socket."""
        found = self.at(call)
        if call.socket and call.fd is not None and (found is None or found.kind in (Kind.OTHER, Kind.SOCKET, Kind.EPOLL)):
            if found is None or found.thread:
                found = self.put(call, call.fd, Descriptor(Kind.PEER, 0, 0))
            found.kind = Kind.PEER
        return found

    def take(self, call: Call) -> None:
        """A call of NAMES changes the table of its process."""
        match call.name:
            case "close":
                self.table(call.thread).pop(-1 if call.fd is None else call.fd, None)
            case "close_range":
                self._close_range(call)
            case "execve" | "execveat":
                if call.result == 0:
                    table = self.table(call.thread)
                    self._tables[self.process_of[call.thread]] = {fd: d for fd, d in table.items() if not d.close_on_exec}
            case "connect":
                self._connect(call)
            case _:
                if call.result is not None and call.result >= 0:
                    self._succeeded(call, call.result)

    def _succeeded(self, call: Call, result: int) -> None:
        match call.name:
            case "socket":
                self._socket(call, result)
            case "listen":
                self.listens(call)
            case "bind" | "setsockopt" | "fcntl" | "ioctl":
                self._change(call, result)
            case "dup" | "dup2" | "dup3":
                self._duplicate(call, result)
            case "epoll_create" | "epoll_create1":
                cloexec = call.name == "epoll_create1" and bool(argument(call, 0) & O_CLOEXEC)
                made = Descriptor(Kind.EPOLL, call.thread, call.exit, own_set=EpollSet(whole=True), close_on_exec=cloexec)
                self.put(call, result, made)
            case "epoll_ctl":
                self._epoll_ctl(call)
            case _:
                kind = Kind.SIGNALFD if call.name == "signalfd4" else Kind.OTHER
                self.put(call, result, Descriptor(kind, call.thread, call.exit))

    def _socket(self, call: Call, number: int) -> None:
        kind = Kind.DATAGRAM if argument(call, 1) & 0xF == _SOCK_DGRAM else Kind.SOCKET
        if argument(call, 0) not in _INTERNET_AND_UNIX:
            kind = Kind.OTHER
        flags = argument(call, 1)
        made = Descriptor(kind, call.thread, call.exit, bool(flags & O_NONBLOCK), close_on_exec=bool(flags & O_CLOEXEC))
        self.put(call, number, made)

    def _connect(self, call: Call) -> None:
        """A socket that is connected is a client's, also where the connection is still being made (EINPROGRESS)."""
        found = self.at(call)
        if found and found.kind in (Kind.SOCKET, Kind.DATAGRAM) and (call.result == 0 or call.errno == "EINPROGRESS"):
            found.kind = Kind.CLIENT

    def _change(self, call: Call, result: int) -> None:
        found = self.at(call)
        if found is None:
            if call.name == "bind" or call.fd is None:
                return
            found = self.put(call, call.fd, Descriptor(Kind.OTHER, 0, 0)) if call.name in ("fcntl", "ioctl") else None
        if found is None:
            return
        command = argument(call, 1)
        if call.name == "bind":
            found.bound = True
            if found.kind is Kind.DATAGRAM:
                self.listening.add(self.process_of[call.thread])
        elif call.name == "setsockopt":
            found.reuseport |= (command, argument(call, 2)) == (_SOL_SOCKET, _SO_REUSEPORT)
        elif call.name == "fcntl":
            self._fcntl(call, found, command, result)
        elif command in (_FIONBIO, _FIOASYNC):  # the recording has no value: programs call it to set the flag
            found.non_blocking |= command == _FIONBIO
            found.signals |= command == _FIOASYNC
        elif command in (_FIOCLEX, _FIONCLEX):
            found.close_on_exec = command == _FIOCLEX

    def _fcntl(self, call: Call, found: Descriptor, command: int, result: int) -> None:
        if command == _F_SETFL:
            found.non_blocking = bool(argument(call, 2) & O_NONBLOCK)
            found.signals = bool(argument(call, 2) & O_ASYNC)
        elif command == _F_SETFD:
            found.close_on_exec = bool(argument(call, 2) & 1)
        elif command in (_F_DUPFD, _F_DUPFD_CLOEXEC):
            self.put(call, result, found)

    def _duplicate(self, call: Call, result: int) -> None:
        found = self.at(call)
        if found:
            self.put(call, result, found)
            found.close_on_exec = False  # a duplicate stays open across execve (man 2 dup)
        else:
            self.table(call.thread).pop(result, None)

    def _epoll_ctl(self, call: Call) -> None:
        epoll, found = self.epoll_set(call), self.table(call.thread).get(argument(call, 2))
        if argument(call, 1) == EPOLL_CTL_DEL:
            if found and found.epoll is epoll:
                found.epoll = None
                found.taken_at, found.taken_by = epoll.reported, epoll.reporter
            return
        if found is None:
            found = self.put(call, argument(call, 2), Descriptor(Kind.OTHER, 0, 0))
        found.epoll, found.registered = epoll, True
        events = argument(call, 3) if len(call.args) > 3 and call.args[3] < 1 << 32 else 0
        if events & _READ_OR_WRITE or not found.events:  # slapd asks for EPOLLET alone while a request is served
            found.events = events
        epoll.members.add(found)

    def epoll_set(self, call: Call) -> EpollSet:
        """The eventpoll that a call of epoll_ctl or epoll_wait uses."""
        found = self.at(call)
        if found is None or found.own_set is None:
            found = Descriptor(Kind.EPOLL, 0, 0, own_set=EpollSet())
            if call.fd is not None:
                self.put(call, call.fd, found)
        assert found.own_set is not None
        return found.own_set

    def _close_range(self, call: Call) -> None:
        first, last, cloexec = argument(call, 0), argument(call, 1), argument(call, 2) & 4  # CLOSE_RANGE_CLOEXEC
        table = self.table(call.thread)
        for number in [number for number in table if first <= number <= last]:
            if cloexec:
                table[number].close_on_exec = True
            else:
                del table[number]
