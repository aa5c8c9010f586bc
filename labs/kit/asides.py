"""The data that the labs' experiments return, as types: a recording whose experiment data have another shape is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Any

from findings.view import Run
from labs.kit.arguments import Kept, Overwritten
from probes import shapes

CROWDS = (10, 100, 200)  # the threads or processes of labs.kit.crowd
_CALLS = ("select", "select, no wait", "poll", "poll, no wait", "epoll")
_ROUNDS = {f"{server}, {kind}" for server in ("level", "edge", "level and drained") for kind in ("short", "long")}
NOT_RUN = "the experiment beside the traffic did not run"
_NEEDED = {  # what the checks of a lab look up, where its experiment ran
    "epoll": {"mmap", "epoll_wait"},
    "epoll_edge": {"level", "edge", "rounds"},
    "native_aio": {"pause_ms", "submit_ms"},
    "signal_driven": {"pause_ms", "computed_ms", "switches", "delay_us", "result"},
    "select": {"fd", "python", "kernel"},
    "async_results": {"asked", "early", "reported"},
    "selectors": {"order", "chosen"},
    "select_steps": {"named", "left"},
    "epoll_steps": {"written", "untouched", "room"},
}


@dataclass(frozen=True)
class Limit:
    """What labs.kit.growth:limit returns."""

    nofile: int
    taken: int
    refused: str
    memory_bytes: int
    file_max: int | None = None
    watches: int | None = None

    def __post_init__(self) -> None:
        if self.memory_bytes <= 0:
            raise ValueError("the experiment found a machine without memory")


@dataclass(frozen=True)
class Signals:
    """What labs.select:signals_of_data returns."""

    blocked: int  # signals that the thread had blocked, so that each stays pending
    ready: int  # descriptors that select reported after a sleep
    pending: int  # signals that had come meanwhile


@dataclass(frozen=True)
class Crowd:
    """What labs.kit.crowd returns for some threads or processes: the CPU time to create them, their memory, and their
    voluntary switches for a message each.
    """

    cpu_ns: int
    bytes: int
    switches: int


@dataclass(frozen=True)
class Walks:
    """What labs.kit.walks returns, for select or for poll."""

    many: int = 0  # descriptors that the call named, with time-out 0,
    ready: int = 0  # that were ready,
    reported: int = 0  # and that it reported
    few: int = 0  # quiet descriptors that the call named before it slept,
    after_time_out: int = 0  # and that it reported after its time-out, since ready ones had taken their places;
    after_wake_up: int = 0  # the same, after a byte for one of them had ended the sleep
    woken: int = 0  # of the few: how many could end the sleep
    held: int = 0  # of the few: pipes that had a reader while the call slept, after close
    released: int = 0  # and that had none after the call


@dataclass
class Round:
    """What one server of labs.kit.edges did in one round."""

    waits: int = 0
    reads: int = 0
    sends: int = 0
    cpu_ns: int = 0  # of the server's part
    round_trip_ns: int = 0  # of the whole round

    @property
    def calls(self) -> int:
        """All system calls of the server."""
        return self.waits + self.reads + self.sends


@dataclass(frozen=True)
class Efficiency:
    """What labs.kit.efficiency returns for one shape of the set: ns of a call."""

    select: int
    poll: int


@dataclass(frozen=True)
class Aside:
    """All that the experiments return, together: no two of them use one name for different types."""

    sections: tuple[str, ...] = ()
    growth: Mapping[str, Mapping[str, int]] | None = None
    growth_skipped: str = ""
    crowd: Mapping[str, Mapping[str, Crowd]] | None = None
    crowd_skipped: str = ""
    skipped: str = ""
    limit: Limit | None = None
    mmap: str = ""
    epoll_wait: str = ""
    level: int | None = None
    edge: int | None = None
    pause_ms: float = 0
    submit_ms: float = 0
    computed_ms: float = 0
    switches: int = 0
    delay_us: float = 0
    result: int = 0
    fd: int = 0
    python: str = ""
    kernel: str = ""
    overwritten: Overwritten | None = None
    kept: Kept | None = None
    walks: Walks | None = None
    signals: Signals | None = None
    efficiency: Mapping[str, Efficiency] | None = None
    order: tuple[str, ...] = ()
    chosen: str = ""
    select: int = 0
    poll: int = 0
    unread: tuple[int, ...] = ()
    unacknowledged: tuple[int, ...] = ()
    receive_memory: tuple[int, ...] = ()
    send_memory: tuple[int, ...] = ()
    done_early: bool | None = None
    told: tuple[str, ...] = ()
    named: int = 0
    left: int = 0
    asked: Mapping[str, int] | None = None
    early: Mapping[str, bool] | None = None
    reported: Mapping[str, bool] | None = None
    rounds: Mapping[str, Round] | None = None
    written: tuple[int, ...] = ()
    untouched: int = 0
    room: int = 0

    @property
    def not_run(self) -> str:
        """Why an experiment beside the traffic has returned nothing."""
        return self.skipped or NOT_RUN


def of(run: Run) -> Aside:
    """What the lab's experiments returned. Without a value is what did not run, or was not returned by an older version."""
    aside: Aside = shapes.read(Aside, run.aside, "aside")
    return aside


def check(lab: str, data: Mapping[str, Any], sizes: tuple[int, ...]) -> None:
    """Raises ValueError if the data are not what the experiments of that lab return. `sizes` are those of the growth."""
    aside: Aside = shapes.read(Aside, data, "aside")
    if data and "skipped" not in data and (missing := _NEEDED.get(lab, set()) - set(data)):
        raise ValueError(f"aside.{min(missing)} is missing")
    if len(set(aside.sections)) != len(aside.sections):
        raise ValueError("two sections of the experiment have the same name")
    if aside.growth is not None:
        wanted = {str(size) for size in sizes}
        if set(aside.growth) != set(_CALLS) or any(set(costs) != wanted for costs in aside.growth.values()):
            raise ValueError("aside.growth lacks a call or a size")
        if min(ns for costs in aside.growth.values() for ns in costs.values()) <= 0:
            raise ValueError("aside.growth has a call that took no time")
    for name, costs in (aside.efficiency or {}).items():
        if min(costs.select, costs.poll) <= 0:
            raise ValueError(f"aside.efficiency.{name} has a call that took no time")
    if aside.rounds is not None:
        if set(aside.rounds) != _ROUNDS:
            raise ValueError("aside.rounds lacks a server")
        if min(figure for cost in aside.rounds.values() for figure in astuple(cost)) <= 0:
            raise ValueError("aside.rounds has a figure that is not above 0")
    if aside.crowd is not None:
        wanted = {str(size) for size in CROWDS}
        if not set(aside.crowd) <= {"thread", "process"} or any(set(costs) != wanted for costs in aside.crowd.values()):
            raise ValueError("aside.crowd lacks a unit or a size")
