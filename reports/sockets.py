"""The sockets of a run as JSON data: their addresses, and the data and connections that no call took."""

from __future__ import annotations

from typing import Any

from findings.descriptors.sockets import SocketLife, sockets
from findings.view import Run
from probes.measure.sockets import Address
from runs.report import Report


def data(report: Report) -> list[dict[str, Any]]:
    """Each socket of the part of the run, in the order of their first use."""
    return [_socket(life) for life in sockets(Run(report.result))]


def _socket(life: SocketLife) -> dict[str, Any]:
    name, end = life.name, life.end
    return {
        "pid": life.pid,
        "fd": name.fd if name.fd >= 0 else None,
        "words": life.words,
        "kind": life.kind,
        "role": name.role.name.lower(),
        "local": _address(name.local),
        "peer": _address(name.peer),
        "path": name.path or None,
        "since_ns": life.since,
        "end_ns": end.at if end else None,
        "open": end.open if end else None,
        "unread_bytes": end.unread if end else None,
        "unread_at_least": end.at_least if end else False,
        "unread_datagrams": end.datagrams if end else None,
        "not_accepted": end.backlog if end else None,
        "waiting_since_ns": (end.first or end.latest) if end else None,
    }


def _address(address: Address | None) -> dict[str, Any] | None:
    return {"host": address.host, "port": address.port} if address else None
