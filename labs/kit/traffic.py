"""The clients of a lab: N connections, each sending M messages and waiting for each echo, paced and seeded.

`Traffic` says what to send; `python -m labs.kit.traffic` (started by the runner) sends it and prints one JSON document with
the time of every message. All times are CLOCK_MONOTONIC ns, the clock of the probes.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import random
import sys
import time
from dataclasses import dataclass
from typing import Any

from probes.errors import WrongUsage
from probes.prctl import end_with_parent

LOST_AFTER = 0.2  # seconds until a client takes a datagram, or its echo, for lost, and sends it again
LARGEST_DATAGRAM = 65_507  # what IPv4 leaves of 65,535 bytes
SLOW = b"!"  # the first byte of a message whose handling takes long (servers/mistakes/slow_handler.py)


@dataclass(frozen=True)
class Traffic:
    """What the clients do. They start spread evenly over a gap (or `spread_ms`); each gap varies by `jitter`, from the seed."""

    clients: int = 3
    messages: int = 23  # of each client
    size: int = 64  # bytes of each message
    gap_ms: float = 20  # pause before each message
    seed: int = 1
    udp: bool = False  # datagrams instead of connections
    jitter: float = 0.1  # of the gap, to both sides
    spread_ms: float | None = None  # from the first client's start to the last one's; None: a gap
    silent_ms: float = 0  # one more client comes first, says nothing for so long, and goes
    flood_ms: float = 0  # one more client comes first, and sends for so long as fast as it can
    slow: int = 0  # so many clients ask for what takes long to handle
    lost_after: float = LOST_AFTER  # seconds; a link with a delay needs more (labs/kit/link.py)

    def __post_init__(self) -> None:
        largest = LARGEST_DATAGRAM if self.udp else 64 << 20
        for name, low, high in (
            ("clients", 1, 10_000), ("messages", 1, 1_000_000), ("size", 1, largest), ("gap_ms", 0, 60_000),
        ):  # fmt: skip
            value = getattr(self, name)
            if not low <= value <= high:
                raise WrongUsage(
                    f"--{name.replace('_', '-')} {value:g} is out of range", f"give a value from {low:,} to {high:,}"
                )

    @property
    def bytes(self) -> int:
        """All that the clients send together, a flood not counted."""
        return self.clients * self.messages * self.size

    @property
    def seconds(self) -> float:
        """About how long the paced part lasts when every client is served one after the other."""
        beside = (self.silent_ms + self.flood_ms + (self.spread_ms or 0)) / 1000
        return beside + self.clients * self.messages * (self.gap_ms / 1000 + self.size / 20e6 + 0.001)

    @property
    def words(self) -> str:
        """One phrase for a heading."""
        clients = f"{self.clients} client" + "s" * (self.clients > 1)
        kind = "datagram" if self.udp else "message"
        messages = f"{self.messages} {kind}" + "s" * (self.messages > 1)
        each = " each" if self.clients > 1 else ""
        beside = f", after a client that is silent for {self.silent_ms:g} ms" if self.silent_ms else ""
        beside += f", beside a client that floods for {self.flood_ms:g} ms" if self.flood_ms else ""
        beside += f", {self.slow} of them asking for what takes long" if self.slow else ""
        return f"{clients}, {messages} of {self.size:,} B{each}, {self.gap_ms:g} ms apart{beside}"


def message(payload: bytes, number: int, slow: bool) -> bytes:
    """The client's message of that number: its payload, turned, so that no two in a row are the same."""
    turned = payload[number % len(payload) :] + payload[: number % len(payload)]
    first = SLOW if slow else b"." if turned[:1] == SLOW else turned[:1]
    return first + turned[1:]


async def _client(index: int, traffic: Traffic, address: tuple[str, int]) -> dict[str, Any]:
    """One client: what it saw."""
    seeded = random.Random(f"{traffic.seed}/{index}")
    payload = seeded.randbytes(traffic.size)
    gap = traffic.gap_ms / 1000
    spread = gap if traffic.spread_ms is None else traffic.spread_ms / 1000
    await asyncio.sleep(spread * index / traffic.clients)
    asked = time.monotonic_ns()
    peer = await (_Datagrams if traffic.udp else _Connection).open(address)
    connected = time.monotonic_ns()
    if isinstance(peer, _Datagrams):
        peer.lost_after = traffic.lost_after
    exchanges = []
    for number in range(traffic.messages):
        await asyncio.sleep(gap * seeded.uniform(1 - traffic.jitter, 1 + traffic.jitter))
        data = message(payload, number, index < traffic.slow)
        sent = time.monotonic_ns()
        echo = await peer.exchange(data)
        exchanges.append((sent, time.monotonic_ns()))
        if echo != data:
            raise SystemExit(f"client {index}: message {number} came back changed")
    await peer.close()
    slow = {"slow": True} if index < traffic.slow else {}
    return {"asked": asked, "connected": connected, "port": peer.port, "exchanges": exchanges, "resent": peer.resent} | slow


class _Connection:
    """The client's end of a TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer, self.resent = reader, writer, 0
        self.port: int = writer.get_extra_info("sockname")[1]

    @classmethod
    async def open(cls, address: tuple[str, int]) -> _Connection:
        return cls(*await asyncio.open_connection(*address))

    async def exchange(self, data: bytes) -> bytes:
        self.writer.write(data)
        return await self.reader.readexactly(len(data))

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


class _Datagrams(asyncio.DatagramProtocol):
    """The client's end of UDP. What is not echoed in `lost_after` seconds is sent again; echoes of earlier ones are let go."""

    def __init__(self) -> None:
        self.echoes: asyncio.Queue[bytes] = asyncio.Queue()
        self.resent, self.lost_after = 0, LOST_AFTER

    @classmethod
    async def open(cls, address: tuple[str, int]) -> _Datagrams:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_datagram_endpoint(cls, remote_addr=address)
        protocol.transport, protocol.port = transport, transport.get_extra_info("sockname")[1]
        return protocol

    transport: asyncio.DatagramTransport
    port: int

    def datagram_received(self, data: bytes, _address: Any) -> None:
        self.echoes.put_nowait(data)

    async def exchange(self, data: bytes) -> bytes:
        for _ in range(20):
            self.transport.sendto(data)
            end = time.monotonic() + self.lost_after
            while (left := end - time.monotonic()) > 0:
                try:
                    echo = await asyncio.wait_for(self.echoes.get(), left)
                except TimeoutError:
                    break
                if echo == data:
                    return echo
            self.resent += 1
        raise SystemExit("a datagram was sent twenty times and never came back")

    async def close(self) -> None:
        self.transport.close()


async def _silent(seconds: float, address: tuple[str, int]) -> None:
    _reader, writer = await asyncio.open_connection(*address)
    await asyncio.sleep(seconds)
    writer.close()


async def _flood(seconds: float, address: tuple[str, int]) -> int:
    """Sends without a pause, and reads what comes back; bytes sent."""
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
    writer.transport.abort()  # what lies in the buffers would take long to come back
    reading.cancel()
    return sent


async def _all(traffic: Traffic, address: tuple[str, int]) -> dict[str, Any]:
    beside: list[asyncio.Task[Any]] = []
    begin = time.monotonic_ns()
    if traffic.silent_ms:
        beside.append(asyncio.create_task(_silent(traffic.silent_ms / 1000, address)))
    if traffic.flood_ms:
        beside.append(asyncio.create_task(_flood(traffic.flood_ms / 1000, address)))
    if beside:
        await asyncio.sleep(0.02)  # the others come when it is at work already
    clients = await asyncio.gather(*(_client(index, traffic, address) for index in range(traffic.clients)))
    await asyncio.gather(*beside)
    return {"clients": clients, "begin": begin}


def main() -> None:
    """`python -m labs.kit.traffic HOST PORT JSON PARENT`: sends the traffic described, ends with the process PARENT."""
    host, port, described, parent = sys.argv[1:]
    end_with_parent(int(parent))
    try:
        seen = asyncio.run(_all(Traffic(**json.loads(described)), (host, int(port))))
    except (OSError, asyncio.IncompleteReadError) as error:
        raise SystemExit(f"a client's connection failed: {error}") from error
    print(json.dumps(seen))


def describe(traffic: Traffic) -> str:
    """The JSON that `main` takes."""
    return json.dumps(dataclasses.asdict(traffic))


if __name__ == "__main__":
    main()
