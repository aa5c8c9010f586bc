"""What a recording knows of its run beside the records: one dataclass per kind of run.

A runner makes it, `Recording.save` writes it, and `read` makes it again from a file, checked.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from probes import shapes

LONGEST_NAME = 100  # characters of a lab's name, or of a student's


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
    late_ms: float = 0
    slow: int = 0
    lost_after: float = 0
    give_up_after: float = 0

    def __post_init__(self) -> None:
        negative = [
            name
            for name in ("clients", "messages", "size", "gap_ms", "silent_ms", "flood_ms", "late_ms")
            if getattr(self, name) < 0
        ]
        if negative:
            raise ValueError(f"{negative[0]} of the traffic is negative")


class Exchange(NamedTuple):
    """One message of a client: when the client sent it, and when its echo was complete, ns."""

    sent: int
    echoed: int

    @property
    def round_trip(self) -> int:
        """From the send to the complete echo, ns."""
        return self.echoed - self.sent


@dataclass(frozen=True)
class Client:
    """What one client saw: when it asked for a connection and had it (ns), and its messages."""

    asked: int
    connected: int
    port: int
    exchanges: tuple[Exchange, ...]
    resent: int = 0  # datagrams that it sent again
    slow: bool = False  # its requests take long to handle
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

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """The exchanges of all clients, one client after the other."""
        return tuple(exchange for client in self.clients for exchange in client.exchanges)

    @property
    def seconds(self) -> float:
        """From the first message to the last echo."""
        exchanges = self.exchanges
        first, last = min(exchange.sent for exchange in exchanges), max(exchange.echoed for exchange in exchanges)
        return (last - first) / 1e9

    @property
    def round_trips(self) -> list[int]:
        """How long each echo took, ns, sorted."""
        return sorted(exchange.round_trip for exchange in self.exchanges)


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
        if not self.untraced_round_trip_ns:
            raise ValueError("a round trip of the overhead took no time")


@dataclass(frozen=True)
class LinkUsed:
    """The link between clients and server: what was asked for, what the kernel gave, and what stood in for the rest."""

    wanted: str
    used: str | None = None  # None: a plain link
    missing: str | None = None  # None: nothing is missing
    reason: str | None = None  # why it is missing
    instead: str | None = None  # what the clients did instead


@dataclass(frozen=True)
class Answers:
    """The answers given before the run, by question, and the seed that chose the questions."""

    seed: int
    answers: Mapping[str, str]


@dataclass(frozen=True)
class Origin:
    """Who made a recording to hand in, when, and on which machine. Root can write anything here."""

    student: str  # --student, else the login
    login: str
    host: str
    boot: str  # the same for all recordings between two starts of one machine's kernel
    at: str  # the time of the answers, UTC
    answered: int  # the same on the clock of the records, ns

    def __post_init__(self) -> None:
        if len(self.student) > LONGEST_NAME:
            raise ValueError("the student's name is too long")


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
class Throttled:
    """A control group of the traced processes that used up its CPU time: how often, and for how long in all (ns)."""

    group: str  # its folder
    times: int
    ns: int
    quota_ns: int = 0  # the CPU time that it may use in each period; 0: not known
    period_ns: int = 0


@dataclass(frozen=True)
class TraceRun:
    """A program that `trace` ran; without a command, any processes that the instrument followed."""

    iolab: str = ""
    command: tuple[str, ...] = ()
    status: int | None = None
    joined: int | None = None  # the id of the process, if it ran before the recording began
    throttled: tuple[Throttled, ...] = ()  # the longest first


@dataclass(frozen=True)
class LabRun:
    """What every lab's run knows: the lab and its texts, what its experiments found, and the answers given before."""

    lab: str
    iolab: str = ""
    model: str = ""
    question: str = ""
    watch: str = ""
    try_next: tuple[str, ...] = ()
    aside: Mapping[str, Any] = field(default_factory=dict)
    prediction: Answers | None = None
    origin: Origin | None = None  # None: neither answers nor a student's name were given


@dataclass(frozen=True)
class ExperimentRun(LabRun):
    """A lab without clients."""


@dataclass(frozen=True, kw_only=True)
class TrafficRun(LabRun):
    """A lab with clients: ServerRun or CasesRun."""

    traffic: Sent
    traffic_words: str
    link: LinkUsed | None = None  # None: all was on loopback


@dataclass(frozen=True, kw_only=True)
class ServerRun(TrafficRun):
    """A lab with one server, or one case of a lab with several."""

    traffic_seen: Seen
    witness: Witness
    overhead: Overhead | None = None  # None: a run had no echo at all


@dataclass(frozen=True, kw_only=True)
class CasesRun(TrafficRun):
    """A lab with several servers, one after the other, on the same traffic."""

    cases: tuple[ServedCase, ...]

    def __post_init__(self) -> None:
        if len({case.name for case in self.cases}) != len(self.cases):
            raise ValueError("two cases have the same name")

    def of(self, case: ServedCase) -> ServerRun:
        """The run of one case alone, as if the lab had no other server. Raises ValueError for a case that was skipped."""
        if case.traffic_seen is None or case.witness is None:
            raise ValueError(f"case {case.name[:40]} was skipped")
        common = {field.name: getattr(self, field.name) for field in dataclasses.fields(TrafficRun)}
        served = {"traffic_seen": case.traffic_seen, "witness": case.witness, "overhead": case.overhead}
        return ServerRun(**common | served | {"traffic_words": case.traffic_words or self.traffic_words})


Context = TraceRun | LabRun


def read(data: Any) -> Context:
    """The context of a recording, from its JSON data. Raises ValueError for wrong types, missing fields, nonsense numbers."""
    if not isinstance(data, dict):
        raise ValueError("context is not an object")
    kind: type[Context] = TraceRun
    if "lab" in data:
        kind = CasesRun if "cases" in data else ServerRun if "traffic" in data else ExperimentRun
    run: Context = shapes.read(kind, data, "context")
    if isinstance(run, LabRun) and len(run.lab) > LONGEST_NAME:
        raise ValueError("context.lab is no name of a lab")
    return run


def lab_of(context: Context) -> str | None:
    """The name of the lab; None for a trace."""
    return context.lab if isinstance(context, LabRun) else None
