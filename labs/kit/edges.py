"""Level- and edge-triggered epoll on the same traffic: what each server calls, and what that costs.

Client and server are one thread, so that the calls of a round are always the same: the client sends a message on each
connection, the server echoes them all, the client reads the echoes. The rounds of the servers take turns. The third server is
level-triggered and drains, too: it separates the effect of the draining from the effect of the edge.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from labs.kit import asides
from labs.kit.asides import Round
from labs.kit.experiment import tcp_pair
from labs.kit.lab import Finding, Run, confirmed, failed, refined, refuted, unavailable
from probes.measure.percentiles import median
from probes.words import count

SERVERS = ("level", "edge", "level and drained")
SHORT, LONG = "short", "long"
_CONNECTIONS, _ROUNDS, _BUFFER = 8, 30, 2048
_SIZES = {SHORT: 64, LONG: 16 * _BUFFER}


# -- the findings -------------------------------------------------------------------------------------------------------


def fewer_waits(run: Run) -> Finding:
    """Where a message takes several reads, the edge-triggered server takes fewer waits than one that reads once per wait."""
    if (rounds := asides.of(run).rounds) is None:
        return unavailable(asides.NOT_RUN)
    short, long = _costs(rounds, SHORT), _costs(rounds, LONG)
    words = (
        f"for {_CONNECTIONS} messages of 1 read each: {_each(short, 'waits', 'wait')}; of {_SIZES[LONG] // _BUFFER} reads each:"
        f" {_each(long, 'waits', 'wait')}. The edge-triggered server needs another read for each message, which gets EAGAIN:"
        f" {_each(short, 'reads', 'read')}"
    )
    fewer = long["edge"].waits < long["level"].waits and short["edge"].reads > short["level"].reads
    if not fewer:
        return failed(words)
    return refined(words) if long["level and drained"].waits <= long["edge"].waits else confirmed(words)


def faster(run: Run) -> Finding:
    """Edge-triggered epoll is faster: compared by calls and by CPU time, with messages of one read and of several reads."""
    if (rounds := asides.of(run).rounds) is None:
        return unavailable(asides.NOT_RUN)
    parts = []
    quicker = {}
    for kind, name in ((SHORT, "1 read"), (LONG, f"{_SIZES[LONG] // _BUFFER} reads")):
        costs = _costs(rounds, kind)
        level, edge, drains = (costs[server] for server in SERVERS)
        quicker[kind] = edge.calls < level.calls and edge.cpu_ns < level.cpu_ns
        parts.append(
            f"messages of {name}: {edge.calls} calls against {level.calls} of a level-triggered server, CPU time"
            f" x{edge.cpu_ns / level.cpu_ns:.2f}, round trip x{edge.round_trip_ns / level.round_trip_ns:.2f}; against a"
            f" level-triggered server that drains: {drains.calls} calls, CPU time x{edge.cpu_ns / drains.cpu_ns:.2f}"
        )
    words = ". ".join(part[0].upper() + part[1:] for part in parts)
    if all(quicker.values()):
        return confirmed(words)
    return refuted(f"{words}. The draining saves the waits, and a level-triggered server can drain as well")


def _costs(rounds: Mapping[str, Round], kind: str) -> dict[str, Round]:
    return {name: rounds[f"{name}, {kind}"] for name in SERVERS}


def _each(costs: dict[str, Round], figure: str, noun: str) -> str:
    return ", ".join(f"{name}: {count(getattr(cost, figure), noun)}" for name, cost in costs.items())


# -- the experiment -----------------------------------------------------------------------------------------------------


def measure() -> dict[str, Any]:
    """{"rounds": {"level, short": the median of each figure of Round, "edge, short": ..., ...}}."""
    rounds = {}
    for kind, size in _SIZES.items():
        with contextlib.ExitStack() as stack:
            servers = {name: Server(stack, name) for name in SERVERS}
            costs: dict[str, list[Round]] = {name: [] for name in SERVERS}
            for _ in range(_ROUNDS):
                for name, server in servers.items():
                    costs[name].append(server.round(size))
        for name, seen in costs.items():
            rounds[f"{name}, {kind}"] = {key: median(getattr(cost, key) for cost in seen) or 0 for key in asdict(seen[0])}
    return {"rounds": rounds}


class Server:
    """One of the servers, with its connections."""

    def __init__(self, stack: contextlib.ExitStack, name: str) -> None:
        self._drains = name != "level"
        self._epoll = stack.enter_context(select.epoll())
        pairs = [stack.enter_context(tcp_pair()) for _ in range(_CONNECTIONS)]
        self._clients = [here for here, _ in pairs]
        self._connections = {there.fileno(): there for _, there in pairs}
        for fd, connection in self._connections.items():
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else a part waits for the ACK of the part before
            self._epoll.register(fd, select.EPOLLIN | (select.EPOLLET if name == "edge" else 0))

    def round(self, size: int) -> Round:
        """One message on each connection, there and back."""
        cost, message = Round(), b"x" * size
        begin = time.perf_counter_ns()
        for client in self._clients:
            client.sendall(message)
        cpu = time.thread_time_ns()
        left = size * _CONNECTIONS
        while left:
            cost.waits += 1
            for fd, _events in self._epoll.poll(5):
                left -= self._serve(self._connections[fd], cost)
        cost.cpu_ns = time.thread_time_ns() - cpu
        for client in self._clients:
            assert len(client.recv(size, socket.MSG_WAITALL)) == size
        cost.round_trip_ns = time.perf_counter_ns() - begin
        return cost

    def _serve(self, connection: socket.socket, cost: Round) -> int:
        """Reads once, or until EAGAIN, and sends it back; how many bytes."""
        echoed = 0
        while True:
            cost.reads += 1
            try:
                data = connection.recv(_BUFFER)
            except BlockingIOError:
                return echoed
            cost.sends += 1
            echoed += connection.send(data)
            if not self._drains:
                return echoed
