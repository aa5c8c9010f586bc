"""All models on the same traffic: the comparison figure of UNP 6.2, measured, one row a model.

A row is derived from a Result alone, by the same rules for every model: it does not know which model it looks at.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from labs.kit.lab import Case, Finding, confirmed, failed, of_case, refined, refuted
from labs.kit.traffic import Traffic
from probes.capture.instrument import Instrument
from probes.kernel import syscalls
from probes.measure.phases import measure, percentile_of
from probes.measure.result import Call, Check, Result, Verdict
from probes.patience import PATIENCE
from runs import lab as run
from runs.link import Link, Told
from servers.__main__ import models

TRAFFIC = Traffic(messages=11)
CROWDS = (1, 10, 200)
WORKER = ", a worker"  # not the server's first thread: a thread or process made for it
RIVALS = ("threads", "select", "epoll")
ALIKE = 1.1  # two runs of the same model differ by as much
CLEARLY = 1.3  # and hardly ever by as much


@dataclass(frozen=True)
class Row:
    """One model. Times are medians in ns, None where no message could be timed."""

    model: str
    phase_1: str
    phase_2: str
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
    def winner(self) -> str:
        """The model that answered fastest."""
        return min(self.round_trip_ns, key=lambda model: self.round_trip_ns[model])


@dataclass(frozen=True)
class Comparison:
    """All rows on the same traffic, and the crowds."""

    traffic: Traffic
    rows: tuple[Row, ...]
    crowds: tuple[Crowd, ...]
    link: Told | None = None
    missing: dict[str, str] = field(default_factory=dict)  # models that this machine does not offer, with the reason

    def row(self, model: str) -> Row:
        """One model's row."""
        return next(one for one in self.rows if one.model == model)

    @property
    def sound(self) -> bool:
        """Nothing was lost in any run."""
        return all(one.sound for one in self.rows)


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
    return Comparison(traffic, measured, crowded, link.told if link else None, missing)


def judge(comparison: Comparison) -> tuple[Check, ...]:
    """The verdicts; inconclusive where events were lost."""
    found = []
    for name, claims, function in CHECKS:
        verdict, evidence = function(comparison)
        found.append(Check(name, claims, verdict if comparison.sound else Verdict.INCONCLUSIVE, evidence))
    return tuple(found)


def rows(traffic: Traffic, progress: Callable[[str], None], link: Link | None = None) -> tuple[tuple[Row, ...], dict[str, str]]:
    """Runs every model on this traffic, one after the other under one instrument; which could not be run, with the reason."""
    names, seen = models(), {}
    missing: dict[str, str] = {}
    with Instrument() as instrument:
        for number, name in enumerate(names, 1):
            progress(f"{number} of {len(names)}: {name}, {traffic.words}")
            try:
                seen[name] = run.serve(Case(name, name), traffic, instrument.cookie, link)
            except run.NotHere as error:
                missing[name] = str(error)
        instrument.wait_until_gone(2 * PATIENCE)
        progress("reading what the kernel said")
        result = measure(instrument.stop({}))
    return tuple(row(name, of_case(result, seen[name])) for name in seen), missing


def crowds(progress: Callable[[str], None], link: Link | None = None) -> Iterator[Crowd]:
    """The rivals at few and at many connections, untraced, so that only the model makes the difference."""
    for connections in CROWDS:
        traffic = Traffic(clients=connections, messages=max(5, 100 // connections), gap_ms=2 if connections < 100 else 50)
        trips: dict[str, int] = {}
        for name in RIVALS * 2:  # the better of two: a busy moment is no fault of the model's
            progress(f"{connections} connection{'s' * (connections > 1)}: {name}, untraced")
            times = sorted(_round_trips(run.serve(Case(name, name), traffic, None, link)))
            trips[name] = min(percentile_of(times, 0.5) or 0, trips.get(name, 1 << 62))
        yield Crowd(connections, trips)


def _round_trips(seen: dict[str, Any]) -> list[int]:
    return [back - sent for client in seen["traffic"]["clients"] for sent, back in client["exchanges"]]


def row(model: str, result: Result) -> Row:
    """What a result says about its model."""
    messages = max(len(result.messages), 1)
    own = result.threads[0].serial
    on_cpu = sum(one.user + one.kernel + one.copy for one in result.threads)
    told = sorted(one.ready_to_notified for one in result.messages)
    copied = sorted(one.notified_to_copied for one in result.messages)
    return Row(
        model=model,
        phase_1=_phase_1(result),
        phase_2=_phase_2(result, own),
        messages=len(result.messages),
        calls_per_message=round(sum(one.calls for one in result.threads) / messages, 1),
        ready_to_notified_ns=percentile_of(told, 0.5),
        notified_to_copied_ns=percentile_of(copied, 0.5),
        cpu_per_message_ns=on_cpu // messages,
        switches_per_message=round(sum(one.voluntary_switches for one in result.threads) / messages, 1),
        threads=len(result.threads),
        memory_bytes=int(result.context["witness"]["memory_bytes"]),
        sound=result.events.sound,
    )


def _phase_1(result: Result) -> str:
    """What was done while there was no data: the calls that waited for it, or asked for it in vain."""
    asking = syscalls.READS | syscalls.ACCEPTS
    in_vain = sum(one.count for one in result.calls if one.errno == "EAGAIN" and one.name in asking)
    if in_vain > 10 * len(result.messages):
        return f"awake: {in_vain // max(len(result.messages), 1):,} EAGAIN a message"
    packets: collections.Counter[tuple[str, str, bool]] = collections.Counter()
    own = result.threads[0].serial
    for call in result.calls:
        if call.name in syscalls.ACCEPTS:
            continue
        for sleep in call.sleeps:
            if sleep.waker and sleep.waker.chain[0] == "packet":
                packets[call.name, sleep.queue, call.thread == own] += 1
    if not packets:
        return "?"
    (name, queue, mine), _ = packets.most_common(1)[0]
    return f"{name} on {queue}{'' if mine else WORKER}"


def _phase_2(result: Result, own: int) -> str:
    """Whose call made the copy."""
    copying: collections.Counter[tuple[str, bool]] = collections.Counter(
        (one.name, one.thread == own) for one in result.calls if _copies(one)
    )
    if not copying:
        return "?"
    (name, mine), _ = copying.most_common(1)[0]
    return f"{name}{'' if mine else WORKER}"


def _copies(call: Call) -> bool:
    return call.copied is not None


@check("two calls instead of one: with few connections no faster", claims=("C23",))
def few_connections(comparison: Comparison) -> Finding:
    """Calls a message, under the instrument; round trips at 1 and at 10 connections, untraced."""
    alone, epoll, select = (comparison.row(name).calls_per_message for name in ("blocking", "epoll", "select"))
    found = f"calls a message: blocking {alone}, epoll {epoll}, select {select}; round trip of the faster multiplexer against"
    found += " threads: "
    few = [one for one in comparison.crowds if one.connections <= 10]
    ratios = [min(one.round_trip_ns["epoll"], one.round_trip_ns["select"]) / one.round_trip_ns["threads"] for one in few]
    found += ", ".join(f"x{ratio:.2f} at {one.connections}" for one, ratio in zip(few, ratios, strict=True))
    if not few or not alone + 0.5 < min(epoll, select):
        return failed(found)
    faster = [str(one.connections) for one, ratio in zip(few, ratios, strict=True) if ratio < 1 / CLEARLY]
    if not faster:
        return confirmed(found)
    words = f"{found}: at {' and '.join(faster)} it was faster all the same"
    return refuted(words) if len(faster) == len(few) else refined(words)


@check("phase 1 and phase 2 of every model in one table", claims=("C47", "C43"))
def figure(comparison: Comparison) -> Finding:
    """The comparison figure of UNP 6.2: what the models do in phase 1 differs, what they do in phase 2 hardly does."""
    waits = collections.Counter(_kind(one) for one in comparison.rows)
    unknown = [one.model for one in comparison.rows if "?" in (one.phase_1, one.phase_2)]
    workers = [one.model for one in comparison.rows if one.phase_2.endswith(WORKER)]
    found = f"{len(comparison.rows)} models; in phase 1 " + ", ".join(f"{count} {kind}" for kind, count in waits.most_common())
    found += f"; in phase 2 the server's first thread is free in {len(workers)} ({', '.join(workers)}) and copies in the rest"
    if unknown or len(waits) < 4:
        return failed(found + (f"; unknown: {', '.join(unknown)}" if unknown else ""))
    return refined(f"{found}: asynchronous or not, somebody's thread makes each copy inside a system call")


def _kind(row: Row) -> str:
    """Where a model waits, in the text's words."""
    if row.phase_1.startswith("awake"):
        return "polling"
    if row.phase_1.startswith("rt_sig") or " on signalfd" in row.phase_1:
        return "waiting for a signal"
    if " on socket" in row.phase_1:
        return "blocked in a call on the socket" + (" by a worker" if row.phase_1.endswith(WORKER) else "")
    return "waiting for completions" if row.phase_1.startswith("io_uring") else "blocked in a multiplexer"


def as_data(comparison: Comparison) -> dict[str, object]:
    """The comparison as plain JSON data."""
    return {
        "schema_version": 1,
        "verdict": verdict(comparison),
        "traffic": dataclasses.asdict(comparison.traffic),
        "link": comparison.link,
        "missing": comparison.missing,
        "models": [dataclasses.asdict(one) for one in comparison.rows],
        "crowds": [dataclasses.asdict(one) | {"winner": one.winner} for one in comparison.crowds],
        "checks": [
            {"name": one.name, "claims": list(one.claims), "verdict": one.verdict, "evidence": one.evidence}
            for one in judge(comparison)
        ],
    }


def verdict(comparison: Comparison) -> str:
    """As Result.verdict: pass, fail or inconclusive."""
    if not comparison.sound:
        return "inconclusive"
    return "fail" if any(one.verdict is Verdict.FAILED for one in judge(comparison)) else "pass"
