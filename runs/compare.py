"""All models on the same traffic: the comparison figure of UNP 6.2, measured, one row for each model.

A row is derived from a Result alone, by the same rules for every model; the rules do not know the model.
"""

from __future__ import annotations

import collections
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from findings import summary
from findings.view import of_process
from labs.kit.lab import Case, Finding, confirmed, failed, refined, refuted
from labs.kit.traffic import Traffic
from probes.capture.instrument import Instrument
from probes.context import LinkUsed
from probes.kernel import syscalls
from probes.measure.measure import measure
from probes.measure.result import Check, Result, Verdict
from probes.patience import PATIENCE
from probes.words import count, plural
from runs import lab as run
from runs.link import Link
from servers.__main__ import models

TRAFFIC = Traffic(messages=11)
CROWDS = (1, 10, 200)
COMPARE = "compare"  # where a check of the comparison stands in a list of labs
RIVALS = ("threads", "select", "epoll")
ALIKE = 1.1  # two runs of the same model differ by this factor
CLEARLY = 1.3  # two runs of the same model hardly ever differ by this factor
_POLLING = 10  # calls without result for a message, from which on a thread polls


@dataclass(frozen=True)
class Waiting:
    """Phase 1: asleep in `call` on `queue`; or, with `polls`, awake, with so many EAGAIN for each message."""

    call: str = ""
    queue: str = ""
    worker: bool = False  # by a thread or process that the server created for it
    polls: int = 0


@dataclass(frozen=True)
class Copying:
    """Phase 2: the call that makes the copy."""

    call: str
    worker: bool


@dataclass(frozen=True)
class Row:
    """One model. Times are medians in ns; None where no message could be timed, or a phase was not seen."""

    model: str
    phase_1: Waiting | None
    phase_2: Copying | None
    messages: int
    calls_per_message: float
    ready_to_notified_ns: int | None
    notified_to_copied_ns: int | None
    cpu_per_message_ns: int
    switches_per_message: float
    threads: int
    memory_bytes: int
    sound: bool


@dataclass(frozen=True)
class Crowd:
    """Untraced: the median round trip (ns) that the clients of each rival saw, at that many connections."""

    connections: int
    round_trip_ns: dict[str, int]

    @property
    def order(self) -> list[tuple[str, int]]:
        """The models with their round trips, the fastest first."""
        return sorted(self.round_trip_ns.items(), key=lambda one: one[1])

    @property
    def winner(self) -> str:
        """The model that answered fastest."""
        return self.order[0][0]

    @property
    def fastest(self) -> list[str]:
        """The models that are as fast as the winner within what two runs differ by."""
        return [name for name, ns in self.order if ns <= ALIKE * self.order[0][1]]


@dataclass(frozen=True)
class Highlights:
    """What the rows show at a glance."""

    busiest: Row
    times_the_median_cpu: float
    held: int  # models in whose phase 2 the server's first thread makes the copy
    free: list[str]  # models in whose phase 2 a worker makes it
    latest: Row | None  # the model in which data was unread longest before a thread was notified


@dataclass(frozen=True)
class Comparison:
    """All rows on the same traffic, and the crowds."""

    traffic: Traffic
    rows: tuple[Row, ...]
    crowds: tuple[Crowd, ...]
    link: LinkUsed | None = None
    missing: dict[str, str] = field(default_factory=dict)  # models that this machine does not offer, with the reason

    def row(self, model: str) -> Row:
        """One model's row."""
        return next(one for one in self.rows if one.model == model)

    @property
    def sound(self) -> bool:
        """Nothing was lost in any run."""
        return all(one.sound for one in self.rows)

    @cached_property
    def checks(self) -> tuple[Check, ...]:
        """The statements with their verdicts; inconclusive where events were lost."""
        found = []
        for name, claims, function in CHECKS:
            verdict, evidence = function(self)
            found.append(Check(name, claims, verdict if self.sound else Verdict.INCONCLUSIVE, evidence))
        return tuple(found)

    @property
    def verdict(self) -> str:
        """As Result.verdict: pass, fail or inconclusive."""
        if not self.sound:
            return "inconclusive"
        return "fail" if any(one.verdict is Verdict.FAILED for one in self.checks) else "pass"

    @property
    def highlights(self) -> Highlights:
        """What the rows show at a glance."""
        busiest = max(self.rows, key=lambda row: row.cpu_per_message_ns)
        others = [row.cpu_per_message_ns for row in self.rows if row is not busiest]
        copying = [row for row in self.rows if row.phase_2]
        free = [row.model for row in copying if row.phase_2 and row.phase_2.worker]
        timed = [row for row in self.rows if row.ready_to_notified_ns is not None]
        return Highlights(
            busiest=busiest,
            times_the_median_cpu=busiest.cpu_per_message_ns / max(statistics.median(others or [1]), 1),
            held=len(copying) - len(free),
            free=free,
            latest=max(timed, key=lambda row: row.ready_to_notified_ns or 0, default=None),
        )


CompareCheck = Callable[[Comparison], Finding]
CHECKS: list[tuple[str, tuple[str, ...], CompareCheck]] = []


def check(name: str, claims: tuple[str, ...]) -> Callable[[CompareCheck], CompareCheck]:
    """Registers a check on the whole comparison, as Lab.check does on one lab."""

    def register(function: CompareCheck) -> CompareCheck:
        CHECKS.append((name, claims, function))
        return function

    return register


def compare(traffic: Traffic, progress: Callable[[str], None], link: Link | None = None) -> Comparison:
    """Runs everything; some 20 seconds."""
    measured, missing = rows(traffic, progress, link)
    crowded = tuple(crowds(progress, link))
    return Comparison(traffic, measured, crowded, link.description if link else None, missing)


def rows(traffic: Traffic, progress: Callable[[str], None], link: Link | None = None) -> tuple[tuple[Row, ...], dict[str, str]]:
    """Runs every model on this traffic, one after the other under one instrument. Returns the rows, and for each model that
    could not be run the reason.
    """
    names, seen = models(), {}
    missing: dict[str, str] = {}
    with Instrument() as instrument:
        for number, name in enumerate(names, 1):
            progress(f"{number} of {len(names)}: {name}, {traffic.words}")
            try:
                seen[name] = run.serve(Case(name, name), traffic, instrument.invite(), link)
            except run.NotHere as error:
                missing[name] = str(error)
        instrument.wait_until_gone(2 * PATIENCE)
        progress("reading the recorded events")
        result = measure(instrument.stop())
    rows = (row(name, of_process(result, served.pid), served.witness.memory_bytes) for name, served in seen.items())
    return tuple(rows), missing


def crowds(progress: Callable[[str], None], link: Link | None = None) -> Iterator[Crowd]:
    """The rivals at few and at many connections, untraced, so that only the model makes the difference."""
    for connections in CROWDS:
        traffic = Traffic(clients=connections, messages=max(5, 100 // connections), gap_ms=2 if connections < 100 else 50)
        trips: dict[str, int] = {}
        for name in RIVALS * 2:  # the better of two runs, as other load on the machine may slow one of them
            progress(f"{count(connections, 'connection')}: {name}, untraced")
            median = summary.times(run.serve(Case(name, name), traffic, None, link).traffic_seen.round_trips).p50 or 0
            trips[name] = min(median, trips.get(name, median))
        yield Crowd(connections, trips)


def row(model: str, result: Result, memory_bytes: int) -> Row:
    """What a result says about its model."""
    answers = max(len(result.messages), 1)
    first_thread = result.threads[0].serial
    on_cpu = sum(one.user + one.kernel + one.copy for one in result.threads)
    figures = summary.messages(result)
    return Row(
        model=model,
        phase_1=_phase_1(result),
        phase_2=_phase_2(result, first_thread),
        messages=figures.count,
        calls_per_message=round(sum(one.calls for one in result.threads) / answers, 1),
        ready_to_notified_ns=figures.ready_to_notified.p50,
        notified_to_copied_ns=figures.notified_to_copied.p50,
        cpu_per_message_ns=on_cpu // answers,
        switches_per_message=round(sum(one.voluntary_switches for one in result.threads) / answers, 1),
        threads=len(result.threads),
        memory_bytes=memory_bytes,
        sound=result.events.sound,
    )


def _phase_1(result: Result) -> Waiting | None:
    """What was done while no data was there: the calls that waited for it, or polled for it."""
    polling = syscalls.READS | syscalls.ACCEPTS
    empty = sum(one.count for one in result.calls if one.errno == "EAGAIN" and one.name in polling)
    if empty > _POLLING * len(result.messages):
        return Waiting(polls=empty // max(len(result.messages), 1))
    packets: collections.Counter[Waiting] = collections.Counter()
    first_thread = result.threads[0].serial
    for call in result.calls:
        if call.name in syscalls.ACCEPTS:
            continue
        for sleep in call.sleeps:
            if sleep.waker and sleep.waker.chain[0] == "packet":
                packets[Waiting(call.name, sleep.queue, call.thread != first_thread)] += 1
    return packets.most_common(1)[0][0] if packets else None


def _phase_2(result: Result, first_thread: int) -> Copying | None:
    """Whose call made the copy."""
    copying = collections.Counter(
        Copying(one.name, one.thread != first_thread) for one in result.calls if one.copied is not None
    )
    return copying.most_common(1)[0][0] if copying else None


@check("with few connections a multiplexer is no faster than threads", claims=("C23",))
def few_connections(comparison: Comparison) -> Finding:
    """Compares the calls per message, under the instrument, and the round trips at 1 and at 10 connections, untraced."""
    alone, epoll, select = (comparison.row(name).calls_per_message for name in ("blocking", "epoll", "select"))
    found = f"calls per message: blocking {alone}, epoll {epoll}, select {select}; round trip of the faster multiplexer,"
    found += " relative to threads: "
    few = [one for one in comparison.crowds if one.connections <= 10]
    ratios = [min(one.round_trip_ns["epoll"], one.round_trip_ns["select"]) / one.round_trip_ns["threads"] for one in few]
    found += ", ".join(f"x{ratio:.2f} at {_connections(one)}" for one, ratio in zip(few, ratios, strict=True))
    if not few or not alone + 0.5 < min(epoll, select):
        return failed(found)
    faster = [_connections(one) for one, ratio in zip(few, ratios, strict=True) if ratio < 1 / CLEARLY]
    if not faster:
        return confirmed(found)
    words = f"{found}; the multiplexer was faster at {' and '.join(faster)}"
    return refuted(words) if len(faster) == len(few) else refined(words)


def _connections(crowd: Crowd) -> str:
    return count(crowd.connections, "connection")


@check("the models differ in phase 1, and hardly in phase 2", claims=("C47", "C43"))
def figure(comparison: Comparison) -> Finding:
    """The comparison figure of UNP 6.2: where each model waits in phase 1, and whose call makes the copy in phase 2."""
    waits = collections.Counter(kind_of_waiting(one.phase_1) for one in comparison.rows if one.phase_1)
    unknown = [one.model for one in comparison.rows if not one.phase_1 or not one.phase_2]
    workers = [one.model for one in comparison.rows if one.phase_2 and one.phase_2.worker]
    found = f"{count(len(comparison.rows), 'model')}; phase 1: " + ", ".join(
        f"{number} {kind}" for kind, number in waits.most_common()
    )
    found += f"; phase 2: a worker makes the copy in {len(workers)} {plural('model')} ({', '.join(workers)}), the server's"
    found += " first thread in the others"
    if unknown or len(waits) < 4:
        return failed(found + (f"; not known: {', '.join(unknown)}" if unknown else ""))
    return refined(f"{found}; in every model, asynchronous or not, a thread makes the copy inside a system call")


def kind_of_waiting(waiting: Waiting) -> str:
    """Where a model waits, in the text's words."""
    if waiting.polls:
        return "polling"
    if waiting.call.startswith("rt_sig") or waiting.queue == "signalfd":
        return "waiting for a signal"
    if waiting.queue == "socket":
        return "blocked in a call on the socket" + (" by a worker" if waiting.worker else "")
    return "waiting for completions" if waiting.call.startswith("io_uring") else "blocked in a multiplexer"
