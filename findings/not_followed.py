"""Data that a program read from sockets whose messages the probes do not follow: how much, and why.

The probes follow the data of TCP and UDP sockets, and that of unix and MPTCP sockets where the kernel reports each arrival
(sk_data_ready, since 6.3; or the function sock_def_readable). Which socket a descriptor is, the recording shows by the calls
that made it.
"""

from __future__ import annotations

import collections
import enum
import socket
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from probes.kernel import syscalls
from probes.measure.queues import Queue
from probes.measure.result import Call, Result, Thread
from probes.measure.wakers import Link


class Reason(enum.StrEnum):
    """Why messages are not followed. The names are keys in JSON; reports/terminal/messages.py has the words."""

    UNIX = "unix socket"
    MPTCP = "MPTCP"
    VSOCK = "vsock"
    SCTP = "SCTP"
    RAW = "raw or packet socket"
    OTHER = "other socket"
    SPLICE = "splice"  # a socket's data went into a pipe inside the kernel, and no call copied it to the program


@dataclass(frozen=True, slots=True)
class NotFollowed:
    """Reads that took data, which belong to no message."""

    reason: Reason
    reads: int
    bytes: int


_FOLLOWED = None  # a TCP or UDP socket
_Family = Reason | None
_Table = dict[int, _Family]  # the sockets among a process's descriptors

_MPTCP, _SCTP = 262, 132  # linux/in.h
_OF_DOMAIN = {
    socket.AF_UNIX: Reason.UNIX,
    socket.AF_VSOCK: Reason.VSOCK,
    socket.AF_PACKET: Reason.RAW,
}
_INTERNET = {int(socket.AF_INET), int(socket.AF_INET6)}
_IGNORED = {int(socket.AF_NETLINK)}  # questions to the kernel itself
_ON_SOCKETS = {"recvfrom", "recvmsg"}
_ON_ANY = {"read", "readv"}
_DUPLICATES = {"dup", "dup2", "dup3"}
_F_DUPFD = {0, 1030}  # F_DUPFD, F_DUPFD_CLOEXEC
_CHANGE_TABLES = {"close", "socket", "socketpair", "fcntl", *_DUPLICATES, *syscalls.ACCEPTS}


def not_followed(result: Result, calls: Sequence[Call] | None = None) -> tuple[NotFollowed, ...]:
    """The reads of sockets that are not followed, by reason, the most bytes first: of all recorded calls, or of a part of them.

    Calls outside of a part made the part's sockets, so `result` is the whole run.
    """
    chosen = None if calls is None or calls is result.calls else set(map(id, calls))
    reads: collections.Counter[Reason] = collections.Counter()
    size: collections.Counter[Reason] = collections.Counter()
    for call, reason in _reads(result):
        if reason is not None and (chosen is None or id(call) in chosen):
            reads[reason] += call.count
            size[reason] += call.bytes
    return tuple(NotFollowed(reason, reads[reason], number) for reason, number in size.most_common())


def _reads(result: Result) -> Iterator[tuple[Call, _Family]]:
    """The calls that took data out of a socket, with the kind of the socket."""
    tables = _Tables(result)
    for event in _in_order(result):
        if isinstance(event, Thread):
            tables.starts(event)
            continue
        if event.bytes and event.socket is None and event.ready is None:
            yield event, tables.kind_read(event)
        tables.ends(event)


def _in_order(result: Result) -> Iterable[Thread | Call]:
    """The starts of threads, and the ends of the calls that read data or change a table, in the order of time."""
    calls = (
        call
        for call in result.calls
        if call.name in _CHANGE_TABLES or (call.bytes and call.socket is None and call.ready is None)
    )
    return sorted((*result.threads, *calls), key=_moment)


def _moment(event: Thread | Call) -> int:
    return event.start if isinstance(event, Thread) else event.exit


class _Tables:
    """The sockets among the descriptors of each process, as the recorded calls made them."""

    def __init__(self, result: Result) -> None:
        self._pids: dict[int, int] = {thread.serial: thread.pid for thread in result.threads}
        self._tables: dict[int, _Table] = {}
        self._pairs: set[int] = set()  # processes with socketpairs, whose descriptors no register shows

    def starts(self, thread: Thread) -> None:
        """A new process begins with a copy of its parent's table."""
        parent = self._pids.get(thread.parent)
        if thread.pid in self._tables or parent is None or parent == thread.pid:
            return
        self._tables[thread.pid] = dict(self._tables.get(parent, {}))
        if parent in self._pairs:
            self._pairs.add(thread.pid)

    def ends(self, call: Call) -> None:
        """Takes over what a call did to its process's table."""
        pid = self._pids[call.thread]
        table = self._tables.setdefault(pid, {})
        if call.name == "close" and call.fd is not None:
            table.pop(call.fd, None)
        if call.result is None or call.result < 0:
            return
        if call.name == "socket" and int(call.args[0]) not in _IGNORED:
            table[call.result] = _family(call.args)
        elif call.name == "socketpair":
            self._pairs.add(pid)
        elif call.name in syscalls.ACCEPTS or _duplicates(call):
            table.pop(call.result, None)
            if call.fd in table:
                table[call.result] = table[call.fd]

    def kind_read(self, call: Call) -> _Family:
        """What kind of socket the call read, which took data; None: a socket that is followed, or no socket."""
        pid = self._pids[call.thread]
        table = self._tables.get(pid, {})
        if call.name == "splice":
            return Reason.SPLICE if call.fd in table else None
        if call.name not in _ON_SOCKETS | _ON_ANY:
            return None
        if call.fd in table:
            return table[call.fd]
        by_unix = _woken_through_a_unix_socket(call) or (pid in self._pairs and call.name in _ON_SOCKETS)
        return Reason.UNIX if by_unix else None


def _family(args: tuple[int, ...]) -> _Family:
    """The kind of a socket by the arguments of socket(): domain, type, protocol."""
    domain, kind, protocol = args[0], args[1] & 0xF, args[2]
    if domain not in _INTERNET:
        return _OF_DOMAIN.get(socket.AddressFamily(domain), Reason.OTHER) if domain in _DOMAINS else Reason.OTHER
    if kind == socket.SOCK_RAW:
        return Reason.RAW
    return {_MPTCP: Reason.MPTCP, _SCTP: Reason.SCTP}.get(protocol, _FOLLOWED)


_DOMAINS = {int(domain) for domain in socket.AddressFamily}


def _woken_through_a_unix_socket(call: Call) -> bool:
    return any(
        sleep.queue == Queue.SOCKET and sleep.waker is not None and Link.UNIX_SOCKET in sleep.waker.chain
        for sleep in call.sleeps
    )


def _duplicates(call: Call) -> bool:
    return call.name in _DUPLICATES or (call.name == "fcntl" and len(call.args) > 1 and call.args[1] in _F_DUPFD)
