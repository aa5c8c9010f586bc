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


@dataclass(frozen=True)
class Traffic:
    """What the clients do. Client k starts k/clients of a gap later, and each gap varies by 10 %, both from the seed."""

    clients: int = 3
    messages: int = 23  # of each client
    size: int = 64  # bytes of each message
    gap_ms: float = 20  # pause before each message
    seed: int = 1

    def __post_init__(self) -> None:
        for name, low, high in (
            ("clients", 1, 10_000), ("messages", 1, 1_000_000), ("size", 1, 64 << 20), ("gap_ms", 0, 60_000),
        ):  # fmt: skip
            value = getattr(self, name)
            if not low <= value <= high:
                raise WrongUsage(
                    f"--{name.replace('_', '-')} {value:g} is out of range", f"give a value from {low:,} to {high:,}"
                )

    @property
    def bytes(self) -> int:
        """All that the clients send together."""
        return self.clients * self.messages * self.size

    @property
    def seconds(self) -> float:
        """About how long the paced part lasts when every client is served one after the other."""
        return self.clients * self.messages * (self.gap_ms / 1000 + self.size / 20e6 + 0.001)

    @property
    def words(self) -> str:
        """One phrase for a heading."""
        clients = f"{self.clients} client" + "s" * (self.clients > 1)
        messages = f"{self.messages} message" + "s" * (self.messages > 1)
        each = " each" if self.clients > 1 else ""
        return f"{clients}, {messages} of {self.size:,} B{each}, {self.gap_ms:g} ms apart"


async def _client(index: int, traffic: Traffic, address: tuple[str, int]) -> dict[str, Any]:
    seeded = random.Random(f"{traffic.seed}/{index}")
    payload = seeded.randbytes(traffic.size)
    gap = traffic.gap_ms / 1000
    await asyncio.sleep(gap * index / traffic.clients)
    asked = time.monotonic_ns()
    reader, writer = await asyncio.open_connection(*address)
    connected = time.monotonic_ns()
    port = writer.get_extra_info("sockname")[1]
    exchanges = []
    for number in range(traffic.messages):
        await asyncio.sleep(gap * seeded.uniform(0.9, 1.1))
        message = payload[number % traffic.size :] + payload[: number % traffic.size]
        sent = time.monotonic_ns()
        writer.write(message)
        echo = await reader.readexactly(traffic.size)
        exchanges.append((sent, time.monotonic_ns()))
        if echo != message:
            raise SystemExit(f"client {index}: message {number} came back changed")
    writer.close()
    await writer.wait_closed()
    return {"asked": asked, "connected": connected, "port": port, "exchanges": exchanges}


async def _all(traffic: Traffic, address: tuple[str, int]) -> list[dict[str, Any]]:
    return await asyncio.gather(*(_client(index, traffic, address) for index in range(traffic.clients)))


def main() -> None:
    """`python -m labs.kit.traffic HOST PORT JSON PARENT`: sends the traffic described, ends with the process PARENT."""
    host, port, described, parent = sys.argv[1:]
    end_with_parent(int(parent))
    try:
        clients = asyncio.run(_all(Traffic(**json.loads(described)), (host, int(port))))
    except (OSError, asyncio.IncompleteReadError) as error:
        raise SystemExit(f"a client's connection failed: {error}") from error
    print(json.dumps({"clients": clients}))


def describe(traffic: Traffic) -> str:
    """The JSON that `main` takes."""
    return json.dumps(dataclasses.asdict(traffic))


if __name__ == "__main__":
    main()
