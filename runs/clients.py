"""The clients of a lab: N connections, each sending M messages and waiting for each echo, paced and seeded.

The runner starts `python -m runs.clients`, and requests one `Traffic` after the other. For each of them, the process prints a
JSON document with the time of every message. All times are CLOCK_MONOTONIC ns, the clock of the probes.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import random
import socket
import sys
import time
from dataclasses import dataclass
from typing import Any

from labs.kit.traffic import GIVE_UP_AFTER, LATE_BYTES, SLOW, Traffic
from probes import shapes
from probes.capture.prctl import end_with_parent
from probes.clock import now_ns
from probes.context import Client, Exchange, Seen
from probes.patience import PATIENCE

_SENT_AT_MOST = 20  # a datagram is sent this often, at most


def message(payload: bytes, number: int, slow: bool) -> bytes:
    """The client's message of that number: its payload, rotated by that number, so that two messages in a row differ."""
    turned = payload[number % len(payload) :] + payload[: number % len(payload)]
    first = SLOW if slow else b"." if turned[:1] == SLOW else turned[:1]
    return first + turned[1:]


class NeverEchoed(Exception):
    """Bytes that the client sent will not come back; the message is the reason."""


class _Heard:
    """The time of the last byte from the server to any client. Prints a line when half of the messages were echoed.

    With `hold` it prints another line when all were echoed, and no client closes its connection before the runner answers.
    """

    def __init__(self, messages: int, hold: bool) -> None:
        self.at = time.monotonic()
        self._echoed, self._half, self._messages = 0, (messages + 1) // 2, messages
        self._hold, self._go_on = hold, asyncio.Event()

    def echo(self) -> None:
        self._echoed += 1
        if self._echoed == self._half:
            print("half", flush=True)

    async def may_close(self) -> None:
        """Returns when a client that has all its echoes may close its connection."""
        if not self._hold:
            return
        if self._echoed == self._messages:
            print("all", flush=True)
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
            self._go_on.set()
        await self._go_on.wait()

    def end(self) -> None:
        """Prints the lines for messages that never came back."""
        if self._echoed < self._half:
            print("less than half", flush=True)
        if self._hold and self._echoed < self._messages:
            print("not all", flush=True)

    def now(self) -> None:
        self.at = time.monotonic()

    async def silence(self, seconds: float) -> None:
        """Returns when no byte has come for that time."""
        while (left := self.at + seconds - time.monotonic()) > 0:
            await asyncio.sleep(left)


async def _client(index: int, traffic: Traffic, address: tuple[str, int], heard: _Heard) -> Client:
    """Runs one client and returns its times. A cancelled client gives up, and names the bytes that never came back."""
    seeded = random.Random(f"{traffic.seed}/{index}")
    payload = seeded.randbytes(traffic.size)
    gap = traffic.gap_ms / 1000
    spread = gap if traffic.spread_ms is None else traffic.spread_ms / 1000
    asked = connected = 0
    exchanges: list[Exchange] = []
    gave_up = ""
    peer: _Connection | _Datagrams | None = None
    try:
        await asyncio.sleep(spread * index / traffic.clients)
        asked = connected = now_ns()
        peer = await (_Datagrams if traffic.udp else _Connection).open(address, heard, traffic)
        connected = now_ns()
        for number in range(traffic.messages):
            await asyncio.sleep(gap * seeded.uniform(1 - traffic.jitter, 1 + traffic.jitter))
            exchanges.append(
                await _exchange(peer, message(payload, number, index < traffic.slow), f"client {index}: message {number}")
            )
            heard.echo()
        await heard.may_close()
        await peer.close()
    except asyncio.CancelledError:
        gave_up = f"no byte came from the server for {_give_up_after(traffic):.1f} s"
    except (OSError, NeverEchoed) as error:
        gave_up = str(error) or type(error).__name__
    if gave_up and peer:
        peer.abort()
    return Client(
        asked=asked,
        connected=connected,
        port=peer.port if peer else 0,
        exchanges=tuple(exchanges),
        resent=peer.resent if peer else 0,
        slow=index < traffic.slow,
        not_echoed=(traffic.messages - len(exchanges)) * traffic.size - (peer.received if peer else 0) if gave_up else 0,
        gave_up=gave_up,
    )


async def _exchange(peer: _Connection | _Datagrams, data: bytes, name: str) -> Exchange:
    """Sends a message and waits for its echo, which must be the same."""
    sent = now_ns()
    echo = await peer.exchange(data)
    exchange = Exchange(sent, now_ns())
    if echo != data:
        raise SystemExit(f"{name} came back changed")
    return exchange


def _give_up_after(traffic: Traffic) -> float:
    """The seconds of silence after which the client expects no further byte."""
    return (traffic.give_up_after + traffic.longest_pause) * PATIENCE


class _Connection:
    """The client's end of a TCP connection. `received` counts the bytes of the echo that is under way."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: _Heard) -> None:
        self._reader, self._writer, self._heard = reader, writer, heard
        self.resent = self.received = 0
        self.port: int = writer.get_extra_info("sockname")[1]

    @classmethod
    async def open(cls, address: tuple[str, int], heard: _Heard, _traffic: Traffic) -> _Connection:
        return cls(*await asyncio.open_connection(*address), heard)

    async def exchange(self, data: bytes) -> bytes:
        self._writer.write(data)
        echo = bytearray()
        while len(echo) < len(data):
            if not (part := await self._reader.read(len(data) - len(echo))):
                raise NeverEchoed("the server closed the connection before its echo")
            self._heard.now()
            echo += part
            self.received = len(echo)
        self.received = 0
        return bytes(echo)

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    def abort(self) -> None:
        self._writer.transport.abort()


class _Datagrams(asyncio.DatagramProtocol):
    """The client's end of UDP. A datagram is sent again after `lost_after` seconds without an echo; late echoes are ignored."""

    def __init__(self, heard: _Heard, lost_after: float) -> None:
        self.echoes: asyncio.Queue[bytes] = asyncio.Queue()
        self.resent = self.received = 0
        self._heard, self._lost_after = heard, lost_after

    @classmethod
    async def open(cls, address: tuple[str, int], heard: _Heard, traffic: Traffic) -> _Datagrams:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_datagram_endpoint(lambda: cls(heard, traffic.lost_after), remote_addr=address)
        protocol.transport, protocol.port = transport, transport.get_extra_info("sockname")[1]
        return protocol

    transport: asyncio.DatagramTransport
    port: int

    def datagram_received(self, data: bytes, _address: Any) -> None:
        self._heard.now()
        self.echoes.put_nowait(data)

    async def exchange(self, data: bytes) -> bytes:
        for _ in range(_SENT_AT_MOST):
            self.transport.sendto(data)
            end = time.monotonic() + self._lost_after
            while (left := end - time.monotonic()) > 0:
                try:
                    echo = await asyncio.wait_for(self.echoes.get(), left)
                except TimeoutError:
                    break
                if echo == data:
                    return echo
            self.resent += 1
        raise NeverEchoed(f"a datagram was sent {_SENT_AT_MOST} times and never came back")

    async def close(self) -> None:
        self.transport.close()

    def abort(self) -> None:
        self.transport.abort()


async def _silent(seconds: float, address: tuple[str, int]) -> None:
    _reader, writer = await asyncio.open_connection(*address)
    await asyncio.sleep(seconds)
    writer.close()


async def _flood(seconds: float, address: tuple[str, int]) -> int:
    """Sends without a pause, and reads the echoes. Returns the number of bytes sent."""
    reader, writer = await asyncio.open_connection(*address)
    block, sent = b"f" * 65536, 0

    async def read() -> None:
        while await reader.read(1 << 20):
            pass

    reading = asyncio.create_task(read())
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        writer.write(block)
        sent += len(block)
        await writer.drain()
    writer.transport.abort()  # the bytes in the buffers would take long to come back
    reading.cancel()
    return sent


async def _late(seconds: float, address: tuple[str, int]) -> None:
    """Sends LATE_BYTES and reads nothing during the pause; then reads until all bytes are back, or the server has closed.

    Its receive buffer is small, so that the echoes fill it, and then the send buffer of the server.
    """
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        sock.setblocking(False)
        await loop.sock_connect(sock, address)
        sending = asyncio.create_task(loop.sock_sendall(sock, b"l" * LATE_BYTES))
        await asyncio.sleep(seconds)
        missing = LATE_BYTES
        with contextlib.suppress(OSError, TimeoutError):
            while missing and (data := await asyncio.wait_for(loop.sock_recv(sock, 65536), GIVE_UP_AFTER * PATIENCE)):
                missing -= len(data)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def _until_done(clients: list[asyncio.Task[Client]]) -> None:
    await asyncio.wait(clients)


async def _all(traffic: Traffic, address: tuple[str, int], hold: bool) -> Seen:
    beside: list[asyncio.Task[Any]] = []
    begin = now_ns()
    if traffic.silent_ms:
        beside.append(asyncio.create_task(_silent(traffic.silent_ms / 1000, address)))
    if traffic.flood_ms:
        beside.append(asyncio.create_task(_flood(traffic.flood_ms / 1000, address)))
    if traffic.late_ms:
        beside.append(asyncio.create_task(_late(traffic.late_ms / 1000, address)))
    if beside:
        await asyncio.sleep(0.02)  # the other clients connect when the server is already at work
    heard = _Heard(traffic.clients * traffic.messages, hold)
    clients = [asyncio.create_task(_client(index, traffic, address, heard)) for index in range(traffic.clients)]
    silence = asyncio.create_task(heard.silence(_give_up_after(traffic)))
    all_done = asyncio.create_task(_until_done(clients))
    await asyncio.wait([all_done, silence], return_when=asyncio.FIRST_COMPLETED)
    silence.cancel()
    for client in clients:
        client.cancel()  # the clients that are not done give up
    seen = [await client for client in clients]
    heard.end()
    await asyncio.gather(*beside)
    return Seen(tuple(seen), begin)


@dataclass(frozen=True)
class Request:
    """Asks the process of the clients to send one traffic to the server at this address. `hold`: see `main`."""

    host: str
    port: int
    traffic: Traffic
    hold: bool = False


def encoded(request: Request) -> str:
    """The line that `main` reads."""
    return json.dumps(dataclasses.asdict(request))


def main() -> None:
    """`python -m runs.clients PARENT`: sends the traffic of each request from stdin, and ends with the process PARENT.

    For each request it prints a line when half of the messages were echoed. With `hold` it prints another line when all were
    echoed, and waits for a line on stdin. At the end it prints a line with what the clients saw. A fork sends the traffic, so
    asyncio is imported once, and each traffic begins in the same state. If a fork fails, this process ends with its status.
    """
    end_with_parent(int(sys.argv[1]))
    this_process = os.getpid()
    while line := sys.stdin.readline():
        fork = os.fork()
        if not fork:
            end_with_parent(this_process)
            _send(shapes.read(Request, json.loads(line), "request"))
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1])
        if status < 0:
            os.kill(this_process, -status)
        if status:
            sys.exit(status)


def _send(request: Request) -> None:
    """Sends the traffic, and prints what the clients saw."""
    try:
        seen = asyncio.run(_all(request.traffic, (request.host, request.port), request.hold))
    except OSError as error:
        raise SystemExit(f"a client's connection failed: {error}") from error
    print(json.dumps(seen, default=shapes.plain), flush=True)


if __name__ == "__main__":
    main()
