"""Where a server listens: at the port that it was given, or at a port of its own choice, which its listening sockets show."""

from __future__ import annotations

import contextlib
import ipaddress
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from runs.submission import isolation

STARTS_WITHIN = 10.0  # seconds until a server must listen
_LISTEN = "0A"  # TCP_LISTEN in /proc/net/tcp (include/net/tcp_states.h)


@dataclass(frozen=True)
class Address:
    """Where the server listens, and whether that is the port that it was given."""

    host: str
    port: int
    expected: bool


class NotListening(Exception):
    """The server never listened; the message says what it did instead."""


def chosen(found: Sequence[tuple[str, int]], wanted: int) -> Address:
    """The address with the wanted port, if the server listens on it; otherwise the address with the lowest port."""
    on_port = [place for place in found if place[1] == wanted]
    host, port = (on_port or sorted(found, key=lambda place: place[1]))[0]
    return Address(host, port, bool(on_port))


def listeners(init: int) -> list[tuple[str, int]]:
    """The addresses of the server's listening sockets, as a client of this machine names them."""
    if "net" in isolation.missing():
        return _listeners_of_processes(init)
    found = []
    for file in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{init}/net/{file}").read_text().splitlines()[1:]:
                local, state = line.split()[1], line.split()[3]
                if state == _LISTEN:
                    found.append(_address(*local.split(":")))
    return found


def _listeners_of_processes(init: int) -> list[tuple[str, int]]:
    found = []
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(init).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                found += [
                    (_reachable(connection.laddr.ip), connection.laddr.port)
                    for connection in process.net_connections("tcp")
                    if connection.status == psutil.CONN_LISTEN
                ]
    return found


def _address(host: str, port: str) -> tuple[str, int]:
    """An address of /proc/net/tcp: the words of an IPv4 or IPv6 address in host byte order, and the port, in hex."""
    words = b"".join(int(host[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(host), 8))
    return _reachable(str(ipaddress.ip_address(words))), int(port, 16)


def _reachable(host: str) -> str:
    """The address that a client connects to: a listener on any address is reached on loopback."""
    address = ipaddress.ip_address(host)
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if address.version == 4 else "::1"
