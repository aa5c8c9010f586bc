"""What the clients of a lab send: N connections with M messages each, paced and seeded (runs/clients.py sends them)."""

from __future__ import annotations

from dataclasses import dataclass

from probes.errors import WrongUsage

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
    lost_after: float = LOST_AFTER  # seconds; a link with a delay needs more (runs/link.py)

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
