"""The clients of a lab: N connections, each sending M messages and waiting for each echo, paced and seeded.

`python -m runs.clients` (started by the runner) sends a `Traffic` and prints one JSON document with the time of every message.
All times are CLOCK_MONOTONIC ns, the clock of the probes.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import random
import sys
import time
from typing import Any

from labs.kit.traffic import LOST_AFTER, SLOW, Traffic
from probes.capture.prctl import end_with_parent
from probes.clock import now_ns


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
    asked = now_ns()
    peer = await (_Datagrams if traffic.udp else _Connection).open(address)
    connected = now_ns()
    if isinstance(peer, _Datagrams):
        peer.lost_after = traffic.lost_after
    exchanges = []
    for number in range(traffic.messages):
        await asyncio.sleep(gap * seeded.uniform(1 - traffic.jitter, 1 + traffic.jitter))
        data = message(payload, number, index < traffic.slow)
        sent = now_ns()
        echo = await peer.exchange(data)
        exchanges.append((sent, now_ns()))
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
    begin = now_ns()
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
    """`python -m runs.clients HOST PORT JSON PARENT`: sends the traffic described, ends with the process PARENT."""
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
