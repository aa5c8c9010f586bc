"""The sockets of a run: each with its addresses, from its first use to its end, and with the data that no call took."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from findings.descriptors.words import kind_words, socket_words
from findings.view import Run
from probes.measure.sockets import SocketEnd, SocketName


@dataclass(frozen=True)
class SocketLife:
    """One socket. `end` is None if the recording does not have its end: a table was full, or another process has the socket."""

    name: SocketName  # its latest addresses
    since: int  # when it was reported first
    pid: int  # the process that used it first
    end: SocketEnd | None

    @property
    def kind(self) -> str:
        """TCP, UDP, unix ..."""
        return kind_words(self.name.family, self.name.type, self.name.protocol)

    @property
    def words(self) -> str:
        """Its addresses in words."""
        return socket_words(self.name)


def sockets(run: Run) -> list[SocketLife]:
    """All sockets that were reported, in the order of their first use."""
    pids = {thread.serial: thread.pid for thread in run.result.threads}
    ends = {end.name.inode: end for end in run.result.socket_ends}
    first: dict[int, SocketName] = {}
    latest: dict[int, SocketName] = {}
    for name in run.result.socket_names:
        first.setdefault(name.inode, name)
        latest[name.inode] = name
    return [
        SocketLife(latest[inode], name.at, pids.get(name.thread, 0), ends.get(inode))
        for inode, name in first.items()
        if name.thread in pids
    ]


_LONG_NS = 20_000_000  # a program may have no time to read what came a moment before
_LONG_OPEN_NS = 100_000_000  # or, where the recording ended first, may be about to read it
# The bytes of an alert close_notify of TLS (RFC 8446, 6.1), with the ciphers in use. A program may close without reading it.
_CLOSE_NOTIFY = {23, 24, 31, 53, 69}
_CLOSE_WAIT = 8  # TCP_CLOSE_WAIT: the peer has ended the connection


@dataclass(frozen=True)
class Untaken:
    """Bytes of a socket, or connections of a listener, that no call took although there was time."""

    end: SocketEnd
    since: int  # ns
    ns: int  # from then on to the close or to the end of the recording

    @property
    def resets(self) -> bool:
        """Did the close reset the connection (RST)? RFC 2525, 2.17; __tcp_close."""
        return not self.end.open and self.end.name.protocol == socket.IPPROTO_TCP and bool(self.end.unread)


def unread(run: Run) -> list[Untaken]:
    """The sockets that were closed, or left at the end of the recording, with data that had been there for some time."""
    found = []
    for end in _ends(run):
        since = end.first or (end.name.at if end.name.found and not end.latest else None)  # it came before the recording
        if not end.unread or since is None or (end.state == _CLOSE_WAIT and end.unread in _CLOSE_NOTIFY):
            continue
        if end.at - since >= (_LONG_OPEN_NS if end.open else _LONG_NS):
            found.append(Untaken(end, since, end.at - since))
    return found


def not_accepted(run: Run) -> list[Untaken]:
    """The listeners that were closed, or left at the end of the recording, with connections that no accept took for some time.

    accept takes the oldest connection, so the newest one is always among those that are left.
    """
    found = []
    for end in _ends(run):
        since = end.latest or (end.name.at if end.name.found and _reports_connections(run) else None)  # before the recording
        if end.backlog and since and end.at - since >= (_LONG_OPEN_NS if end.open else _LONG_NS):
            found.append(Untaken(end, since, end.at - since))
    return found


def _reports_connections(run: Run) -> bool:
    """Does the probe report the connections that come to a listener? tcp_probe, on old kernels, reports data only."""
    ready = next((probe.attached or "" for probe in run.result.probes if probe.name == "data ready"), "")
    return "sk_data_ready" in ready or "sock_def_readable" in ready


def _ends(run: Run) -> list[SocketEnd]:
    threads = {thread.serial for thread in run.result.threads}
    return [end for end in run.result.socket_ends if end.name.thread in threads]


def ends_are_known(run: Run) -> bool:
    """Has the recording the ends of its sockets? An older iolab did not report them."""
    return any(probe.name == "closed connection" and probe.attached for probe in run.result.probes)
