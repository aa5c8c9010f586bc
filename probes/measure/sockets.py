"""The sockets of the followed processes: their addresses from the first use on, and the data that no call took."""

from __future__ import annotations

import enum
import ipaddress
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from probes.kernel.records import SocketEvent, SocketFlag

_LISTEN = 10  # TCP_LISTEN (include/net/tcp_states.h), also of unix sockets


class Role(enum.Enum):
    """How a socket came by its addresses."""

    ACCEPTED = enum.auto()  # from a listener
    CONNECTED = enum.auto()  # to a peer
    LISTENING = enum.auto()
    BOUND = enum.auto()  # to a local address alone
    PAIRED = enum.auto()  # by socketpair
    UNKNOWN = enum.auto()


@dataclass(frozen=True, slots=True)
class Address:
    """An IP address and a port. `host` is without brackets; IPv4 addresses in IPv6 sockets are IPv4 addresses."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class SocketName:
    """The addresses of a socket from `at` on, on one descriptor (-1: not known) of the process of `thread`."""

    at: int
    thread: int
    fd: int
    inode: int
    socket: int  # as in Call.socket
    family: int
    type: int
    protocol: int
    role: Role
    local: Address | None = None  # None: none, or of another family
    peer: Address | None = None  # None: not connected
    path: str = ""  # of an AF_UNIX socket; one in the abstract namespace begins with @
    peers_path: bool = False  # the path is that of the peer: the socket has none
    found: bool = False  # it was open before its process was joined

    @property
    def ports(self) -> set[int]:
        """The local port and that of the peer."""
        return {address.port for address in (self.local, self.peer) if address is not None and address.port}


@dataclass(frozen=True, slots=True)
class SocketEnd:
    """The data and connections that no call took from a socket until it was closed, or until the recording ended.

    Times are ns; None: not known.
    """

    at: int
    name: SocketName  # its latest addresses
    open: bool  # it was open when the recording ended
    state: int  # TCP_ESTABLISHED and so on (include/net/tcp_states.h); of a close, the state before it
    unread: int | None = 0  # bytes; None: not known for sockets of this kind
    at_least: bool = False  # more bytes are unread than were counted
    datagrams: int = 0  # that are unread
    backlog: int = 0  # connections of a listener that no accept took
    first: int | None = None  # when the oldest of these data arrived; of connections: at the latest then
    latest: int | None = None  # when the newest of these data or connections arrived


class SocketReader:
    """Makes names and ends from their records, in the order of the records."""

    def __init__(self) -> None:
        self.names: list[SocketName] = []
        self.ends: list[SocketEnd] = []
        self._latest: dict[int, SocketName] = {}  # by inode

    def on_socket(self, record: Any) -> SocketName:
        """The addresses of a socket."""
        family, type_, protocol = _kind(record.type)
        name = SocketName(
            at=record.at,
            thread=record.thread,
            fd=record.fd,
            inode=record.inode,
            socket=record.socket,
            family=family,
            type=type_,
            protocol=protocol,
            role=_role(record, self._latest.get(record.inode)),
            local=_address(family, record.local, record.local_port),
            peer=_address(family, record.peer, record.peer_port) if record.peer_port else None,
            path=record.path,
            peers_path=bool(record.flags & SocketFlag.PEERS_PATH),
            found=record.event == SocketEvent.FOUND,
        )
        self.names.append(name)
        self._latest[record.inode] = name
        return name

    def listed(self) -> tuple[SocketName, ...]:
        """All names in the order of time. Where no call showed the role, the port of a listener tells the two ends apart."""
        ports = {name.local.port for name in self.names if name.role is Role.LISTENING and name.local}
        return tuple(sorted((_with_role(name, ports) for name in self.names), key=lambda name: name.at))

    def ended(self) -> tuple[SocketEnd, ...]:
        """All ends."""
        ports = {name.local.port for name in self.names if name.role is Role.LISTENING and name.local}
        return tuple(replace(end, name=_with_role(end.name, ports)) for end in self.ends)

    def on_end(self, record: Any) -> SocketEnd | None:
        """The end of a socket, whose addresses were reported before."""
        name = self._latest.get(record.inode)
        if name is None:
            return None
        end = SocketEnd(
            at=record.at,
            name=name,
            open=bool(record.flags & SocketFlag.OPEN),
            state=record.state,
            unread=None if record.flags & SocketFlag.UNKNOWN else record.unread,
            at_least=bool(record.flags & SocketFlag.AT_LEAST),
            datagrams=record.messages if name.type == socket.SOCK_DGRAM else 0,
            backlog=record.backlog,
            first=record.first or None,
            latest=record.latest or None,
        )
        self.ends.append(end)
        return end


def private(names: Iterable[SocketName]) -> set[int]:
    """The numbers of the unix sockets that no client can find: those of a socketpair, and others without a path."""
    return {name.socket for name in names if name.family == socket.AF_UNIX and not name.path and name.role not in _BY_PATH}


_BY_PATH = {Role.ACCEPTED, Role.CONNECTED, Role.LISTENING}


def _with_role(name: SocketName, listeners: set[int]) -> SocketName:
    if name.role is not Role.UNKNOWN or name.local is None or name.peer is None:
        return name
    here, there = name.local.port in listeners, name.peer.port in listeners
    return replace(name, role=Role.ACCEPTED if here else Role.CONNECTED) if here is not there else name


def _kind(packed: int) -> tuple[int, int, int]:
    return packed & 255, packed >> 8 & 255, packed >> 16


_ROLES = {
    SocketEvent.ACCEPTED: Role.ACCEPTED,
    SocketEvent.CONNECTED: Role.CONNECTED,
    SocketEvent.BOUND: Role.BOUND,
    SocketEvent.LISTENS: Role.LISTENING,
    SocketEvent.PAIRED: Role.PAIRED,
}


def _role(record: Any, before: SocketName | None) -> Role:
    """The role that the event gives; otherwise the role before, and that of a socket whose first event gives none."""
    if record.state == _LISTEN:
        return Role.LISTENING
    if role := _ROLES.get(record.event):
        return role
    if before is not None:
        return before.role
    return Role.UNKNOWN if record.peer_port else Role.BOUND


def _address(family: int, words: tuple[int, ...], port: int) -> Address | None:
    if family == socket.AF_INET:
        return Address(str(ipaddress.IPv4Address(struct.pack("<I", words[0]))), port)
    if family == socket.AF_INET6:
        found = ipaddress.IPv6Address(struct.pack("<4I", *words))
        return Address(str(found.ipv4_mapped or found), port)
    return None
