"""Sockets from their records: addresses, roles, and what was left in them."""

from __future__ import annotations

import ipaddress
import struct
from typing import Any

import pytest

from probes.kernel.records import LAYOUTS, Kind, SocketEvent, SocketFlag
from probes.measure.sockets import Address, Role, SocketReader

_TCP4, _TCP6, _UDP4, _UNIX = 2 | 1 << 8 | 6 << 16, 10 | 1 << 8 | 6 << 16, 2 | 2 << 8 | 17 << 16, 1 | 1 << 8


def record(kind: Kind, **values: Any) -> Any:
    blank: dict[str, Any] = {
        name: (0,) * length if length and ctype != "char" else 0 for name, ctype, length in LAYOUTS[kind].fields
    }
    if kind is Kind.SOCKET:
        blank["path"] = ""
    return LAYOUTS[kind].record(**blank | {"kind": int(kind), "thread": 1} | values)


def words(host: str) -> tuple[int, ...]:
    packed = ipaddress.ip_address(host).packed
    return struct.unpack("<4I", packed.ljust(16, b"\0"))


def read(*records: Any) -> SocketReader:
    reader = SocketReader()
    for each in records:
        (reader.on_socket if each.kind == Kind.SOCKET else reader.on_end)(each)
    return reader


@pytest.mark.parametrize(
    ("kind", "host", "shown"),
    [
        (_TCP4, "127.0.0.1", "127.0.0.1"),
        (_TCP6, "::1", "::1"),
        (_TCP6, "::ffff:10.0.0.7", "10.0.0.7"),
        (_UDP4, "0.0.0.0", "0.0.0.0"),
    ],
)
def test_an_address_is_read_in_the_order_of_the_network(kind: int, host: str, shown: str) -> None:
    event = record(Kind.SOCKET, type=kind, event=SocketEvent.BOUND, local=words(host), local_port=80, inode=7)
    (name,) = read(event).listed()
    assert name.local == Address(shown, 80) and name.peer is None and name.role is Role.BOUND and name.ports == {80}


def test_a_unix_socket_has_a_path_and_no_port() -> None:
    event = record(Kind.SOCKET, type=_UNIX, event=SocketEvent.CONNECTED, path="/run/x", flags=SocketFlag.PEERS_PATH)
    (name,) = read(event).listed()
    assert (name.path, name.peers_path, name.ports, name.local) == ("/run/x", True, set(), None)


def test_the_listener_tells_the_two_ends_of_a_connection_that_was_open_before() -> None:
    def found(inode: int, state: int, local: int, peer: int) -> Any:
        return record(
            Kind.SOCKET, type=_TCP4, event=SocketEvent.FOUND, state=state, inode=inode, local=words("127.0.0.1"),
            peer=words("127.0.0.1"), local_port=local, peer_port=peer,
        )  # fmt: skip

    reader = read(found(1, 1, 80, 5000), found(2, 1, 5000, 80), found(3, 1, 6000, 7000), found(4, 10, 80, 0))
    assert [name.role for name in reader.listed()] == [Role.ACCEPTED, Role.CONNECTED, Role.UNKNOWN, Role.LISTENING]
    assert all(name.found for name in reader.listed())


def test_an_end_has_the_latest_addresses_of_its_socket() -> None:
    made = record(Kind.SOCKET, type=_TCP4, event=SocketEvent.CONNECTED, inode=5, at=10, local_port=5000, peer_port=80)
    again = made._replace(at=20, local_port=5001)
    end = record(Kind.SOCKET_END, inode=5, at=90, type=_TCP4, unread=16, first=50, flags=SocketFlag.AT_LEAST)
    other = record(Kind.SOCKET_END, inode=6, at=95, type=_TCP4)
    (ended,) = read(made, again, end, other).ended()
    assert ended.name.local and ended.name.local.port == 5001
    assert (ended.unread, ended.first, ended.latest, ended.at_least, ended.open) == (16, 50, None, True, False)


def test_what_is_not_known_is_not_zero() -> None:
    made = record(Kind.SOCKET, type=_TCP4, inode=5, peer_port=80)
    end = record(Kind.SOCKET_END, inode=5, type=_TCP4, flags=SocketFlag.UNKNOWN)
    (ended,) = read(made, end).ended()
    assert ended.unread is None
