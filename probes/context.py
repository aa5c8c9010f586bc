"""What a recording knows of its run beside the records: one dataclass per kind of run, checked when a file is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from probes import shapes

_LONGEST_NAME = 100  # characters of a lab's name


@dataclass(frozen=True)
class Sent:
    """The traffic of a lab: what its clients were asked to send (labs/kit/traffic.py says what each field means)."""

    clients: int
    messages: int
    size: int
    gap_ms: float
    seed: int
    udp: bool = False
    jitter: float = 0
    spread_ms: float | None = None
    silent_ms: float = 0
    flood_ms: float = 0
    slow: int = 0
    lost_after: float = 0
    give_up_after: float = 0

    def __post_init__(self) -> None:
        negative = [
            name for name in ("clients", "messages", "size", "gap_ms", "silent_ms", "flood_ms") if getattr(self, name) < 0
        ]
        if negative:
            raise ValueError(f"{negative[0]} of the traffic is negative")


@dataclass(frozen=True)
class Client:
    """What one client saw: when it asked for a connection and had it, and for each message when it was sent and echoed, ns."""

    asked: int
    connected: int
    port: int
    exchanges: tuple[tuple[int, int], ...]
    resent: int = 0
    slow: bool = False
    not_echoed: int = 0  # bytes that the client sent, or was to send, and that never came back
    gave_up: str = ""  # why: "no byte came for 3.1 s", "the server closed the connection"; "" if all bytes came back

    def __post_init__(self) -> None:
        if any(echoed < sent for sent, echoed in self.exchanges):
            raise ValueError("an echo came before its message was sent")


@dataclass(frozen=True)
class Seen:
    """What the clients of one server saw; `begin` is when the first of them started, ns."""

    clients: tuple[Client, ...]
    begin: int = 0


@dataclass(frozen=True)
class Witness:
    """The kernel's own accounts of the server's process, without the probes."""

    user_s: float
    system_s: float
    voluntary_switches: int
    involuntary_switches: int
    cpu_ns: int
    run_delay_ns: int
    more_threads: int
    rss_bytes: int
    memory_bytes: int


@dataclass(frozen=True)
class Overhead:
    """The same traffic without and with the probes."""

    untraced_s: float
    untraced_cpu_s: float
    untraced_round_trip_ns: int
    traced_s: float
    traced_cpu_s: float
    traced_round_trip_ns: int

    def __post_init__(self) -> None:
        if min(vars(self).values()) < 0:
            raise ValueError("a figure of the overhead is negative")


@dataclass(frozen=True)
class Connection:
    """The link between clients and server: what was asked for, what the kernel gave, and what stood in for the rest."""

    wanted: str
    used: str | None
    missing: str | None
    reason: str | None
    instead: str | None


@dataclass(frozen=True)
class Answers:
    """The answers given before the run, by question, and the seed that chose the questions."""

    seed: int
    answers: Mapping[str, Any]


@dataclass(frozen=True)
class ServedCase:
    """One server of a lab with several. `skipped` says why it did not run here; else it has all the other fields."""

    name: str
    server: str
    traffic_words: str = ""
    skipped: str | None = None
    pid: int | None = None
    traffic_seen: Seen | None = None
    witness: Witness | None = None
    overhead: Overhead | None = None  # None: a run had no echo at all

    def __post_init__(self) -> None:
        if self.skipped is None and None in (self.pid, self.traffic_seen, self.witness):
            raise ValueError(f"case {self.name[:40]} lacks its process or its clients")


@dataclass(frozen=True)
class TraceRun:
    """A program that `trace` ran."""

    iolab: str = ""
    command: tuple[str, ...] = ()
    status: int | None = None


@dataclass(frozen=True)
class ExperimentRun:
    """A lab without clients, and what every lab's run knows."""

    lab: str
    iolab: str = ""
    model: str = ""
    question: str = ""
    watch: str = ""
    try_next: tuple[str, ...] = ()
    aside: Mapping[str, Any] = field(default_factory=dict)
    prediction: Answers | None = None


@dataclass(frozen=True, kw_only=True)
class CasesRun(ExperimentRun):
    """A lab with several servers, one after the other, on the same traffic."""

    cases: tuple[ServedCase, ...]
    traffic: Sent
    traffic_words: str
    link: Connection | None = None

    def __post_init__(self) -> None:
        if len({case.name for case in self.cases}) != len(self.cases):
            raise ValueError("two cases have the same name")


@dataclass(frozen=True, kw_only=True)
class ServerRun(ExperimentRun):
    """A lab with one server."""

    traffic: Sent
    traffic_words: str
    traffic_seen: Seen
    witness: Witness
    overhead: Overhead | None = None  # None: a run had no echo at all
    link: Connection | None = None


def read(data: Any) -> TraceRun | ExperimentRun | CasesRun | ServerRun:
    """The context of a recording, from its JSON data. Raises ValueError for wrong types, missing fields, nonsense numbers."""
    if not isinstance(data, dict):
        raise ValueError("context is not an object")
    kind: Any = TraceRun
    if "lab" in data:
        kind = CasesRun if "cases" in data else ServerRun if "traffic" in data else ExperimentRun
    run: TraceRun | ExperimentRun | CasesRun | ServerRun = shapes.read(kind, data, "context")
    if isinstance(run, ExperimentRun) and len(run.lab) > _LONGEST_NAME:
        raise ValueError("context.lab is no name of a lab")
    return run
