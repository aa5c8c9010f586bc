"""The traffic of a lab: N connections with M messages each, paced, repeatable by a seed. runs/clients.py sends it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from probes.context import Sent
from probes.errors import WrongUsage
from probes.words import count

LOST_AFTER = 0.2  # seconds after which a client takes a datagram or its echo for lost, and sends it again
LARGEST_DATAGRAM = 65_507  # 65,535 bytes less the headers of IPv4 and UDP
GIVE_UP_AFTER = 4.0  # seconds of silence, beyond the pauses of the traffic, after which the clients give up
LATE_BYTES = 256 << 10  # more than the buffers of two small sockets hold
SLOW = b"!"  # the first byte of a message whose handling takes long (servers/mistakes/slow_handler.py)


@dataclass(frozen=True)
class Traffic:
    """What the clients send. They start spread evenly over a gap (or `spread_ms`); the seed varies each gap by `jitter`."""

    clients: int = 3
    messages: int = 23  # of each client
    size: int = 64  # bytes of each message
    gap_ms: float = 20  # pause before each message
    seed: int = 1
    udp: bool = False  # datagrams instead of connections
    jitter: float = 0.1  # a share of the gap, added or taken away
    spread_ms: float | None = None  # from the first client's start to the last one's; None: a gap
    silent_ms: float = 0  # an additional client connects first, sends nothing for so long, and closes
    flood_ms: float = 0  # an additional client connects first, and sends as fast as it can for so long
    late_ms: float = 0  # an additional client connects first, sends LATE_BYTES, and reads nothing for so long
    slow: int = 0  # so many of the clients send requests that take long to handle
    lost_after: float = LOST_AFTER  # seconds; longer on a link with a delay (runs/link.py)
    give_up_after: float = GIVE_UP_AFTER  # seconds; longer on a link (runs/link.py)

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
        """The bytes that all clients send together, without a flood."""
        return self.clients * self.messages * self.size

    @property
    def seconds(self) -> float:
        """About how long the paced part lasts when the server serves one client after the other."""
        beside = (self.silent_ms + self.flood_ms + self.late_ms + (self.spread_ms or 0)) / 1000
        return beside + self.clients * self.messages * (self.gap_ms / 1000 + self.size / 20e6 + 0.001)

    @property
    def longest_pause(self) -> float:
        """Seconds for which the clients may hear nothing from a server that serves each connection to its end."""
        pauses_ms = self.gap_ms * (1 + self.jitter) + (self.gap_ms if self.spread_ms is None else self.spread_ms)
        return (pauses_ms + self.silent_ms + self.flood_ms + self.late_ms) / 1000

    @property
    def sent(self) -> Sent:
        """The same as a recording keeps it."""
        return Sent(**dataclasses.asdict(self))

    @property
    def words(self) -> str:
        """One phrase for a heading."""
        clients = count(self.clients, "client")
        messages = count(self.messages, "datagram" if self.udp else "message")
        each = " each" if self.clients > 1 else ""
        beside = f", after a client that is silent for {self.silent_ms:g} ms" if self.silent_ms else ""
        beside += f", beside a client that floods for {self.flood_ms:g} ms" if self.flood_ms else ""
        beside += f", beside a client that sends and reads nothing for {self.late_ms:g} ms" if self.late_ms else ""
        beside += f"; the requests of {count(self.slow, 'client')} take long" if self.slow else ""
        return f"{clients}, {messages} of {self.size:,} B{each}, {self.gap_ms:g} ms apart{beside}"
