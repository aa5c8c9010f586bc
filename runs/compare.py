"""All models on the same traffic: the comparison figure of UNP 6.2, measured, one row for each model.

Everything is measured in rounds: each round runs every model once, in another order, so that what changes on the machine meets
all models alike. A figure is the median of the rounds, with the lowest and the highest round. Two models differ where all
rounds of one model are below all rounds of the other. The sentences and the checks take what they say from the same `Ranking`.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from findings import summary
from findings.pictures import figure as figures
from findings.rounds import Ranking, joined, spread
from findings.view import of_process
from labs.claims import CLAIMS
from labs.kit.lab import Case, Finding, confirmed, failed, refined, refuted, unavailable
from labs.kit.traffic import Traffic
from probes import VERSION
from probes.capture.instrument import Instrument
from probes.context import LinkUsed, ServerRun
from probes.errors import WrongUsage
from probes.measure.measure import measure
from probes.measure.percentiles import median
from probes.measure.result import Check, Result, Verdict
from probes.patience import PATIENCE
from probes.words import count, did_you_mean
from runs import lab as run
from runs.link import Link
from runs.report import Drawn
from runs.rows import Round, Row, kind_of_waiting, row
from servers.__main__ import models

TRAFFIC = Traffic(messages=5)
ROUNDS = 3  # traced, of every model
CONNECTIONS = (1, 10, 100)
UNTRACED_ROUNDS = 5  # of the rivals at each number of connections
FEW = 10  # connections
COMPARE = "compare"  # where a check of the comparison stands in a list of labs
RIVALS = ("threads", "select", "epoll")
MULTIPLEXERS = ("select", "epoll")
ASYNCHRONOUS = ("io_uring", "native_aio", "posix_aio")  # the interfaces that POSIX or Linux calls asynchronous I/O
_PAUSE_MS = 2  # between two messages, whatever the number of connections
_COUNTED = 50  # messages of a round trip's median, at least


def crowd_traffic(connections: int) -> Traffic:
    """The same load at each number of connections: one message every `_PAUSE_MS`, in turn on each connection."""
    each = max(1, -(-_COUNTED // connections))
    return Traffic(clients=connections, messages=1 + each, gap_ms=_PAUSE_MS * connections, jitter=0)


@dataclass(frozen=True)
class Crowd:
    """Untraced runs at one number of connections: the round trips of each rival's clients, and the server's CPU time.

    The first message of each connection is not in the round trips: a server may still be creating the connection's thread. The
    CPU time is that of the second half of the messages, so that no connection is set up or closed in it.
    """

    connections: int
    round_trip_ns: Ranking
    cpu_per_message_ns: Ranking


@dataclass(frozen=True)
class Highlights:
    """What the rows show at a glance."""

    busiest: Row
    times_the_median_cpu: float
    held: int  # models in whose phase 2 the server's first thread makes the copy
    free: list[str]  # models in whose phase 2 a worker makes it
    latest: list[str]  # the models in which data was unread longest before a thread was notified; several: within the spread


@dataclass(frozen=True)
class Comparison:
    """All rows on the same traffic, and the crowds."""

    traffic: Traffic
    rows: tuple[Row, ...]
    crowds: tuple[Crowd, ...]
    link: LinkUsed | None = None
    missing: dict[str, str] = field(default_factory=dict)  # models that this machine does not offer, with the reason
    drawn: tuple[Drawn, ...] = ()  # the figure of each model, from its first round
    chosen: bool = False  # the user chose the models: the statements about all models are not checked

    def row(self, model: str) -> Row:
        """One model's row."""
        return next(row for row in self.rows if row.model == model)

    @property
    def sound(self) -> bool:
        """Nothing was lost in any run."""
        return all(row.sound for row in self.rows)

    @cached_property
    def checks(self) -> tuple[Check, ...]:
        """The statements with their verdicts; inconclusive where events were lost."""
        found = []
        for name, claims, function in () if self.chosen else CHECKS:
            verdict, evidence = function(self)
            found.append(Check(name, claims, verdict if self.sound else Verdict.INCONCLUSIVE, evidence))
        return tuple(found)

    @property
    def claims(self) -> dict[str, str]:
        """The claims of the checks: number and full text."""
        return {claim: CLAIMS[claim].text for check in self.checks for claim in check.claims}

    @property
    def verdict(self) -> str:
        """As Result.verdict: pass, fail or inconclusive."""
        if not self.sound:
            return "inconclusive"
        return "fail" if any(check.verdict is Verdict.FAILED for check in self.checks) else "pass"

    @property
    def ready_to_notified(self) -> Ranking:
        """The models by the time that data was unread before a thread was notified."""
        return Ranking({row.model: row.ready_to_notified_ns for row in self.rows if row.ready_to_notified_ns})

    @property
    def highlights(self) -> Highlights:
        """What the rows show at a glance."""
        busiest = max(self.rows, key=lambda row: row.cpu_per_message_ns.median)
        others = [row.cpu_per_message_ns.median for row in self.rows if row is not busiest]
        copying = [row for row in self.rows if row.phase_2]
        free = [row.model for row in copying if row.phase_2 and row.phase_2.worker]
        return Highlights(
            busiest=busiest,
            times_the_median_cpu=busiest.cpu_per_message_ns.median / max(median(others) or 1, 1),
            held=len(copying) - len(free),
            free=free,
            latest=self.ready_to_notified.highest if self.ready_to_notified.figures else [],
        )


CompareCheck = Callable[[Comparison], Finding]
CHECKS: list[tuple[str, tuple[str, ...], CompareCheck]] = []


def check(name: str, claims: tuple[str, ...]) -> Callable[[CompareCheck], CompareCheck]:
    """Registers a check on the whole comparison, as Lab.check does on one lab."""

    def register(function: CompareCheck) -> CompareCheck:
        CHECKS.append((name, claims, function))
        return function

    return register


def compare(
    traffic: Traffic, progress: Callable[[str], None], link: Link | None = None, chosen: Sequence[str] = ()
) -> Comparison:
    """Runs all rounds, which takes some 40 seconds; of chosen models only the traced rounds."""
    names = [_model(name) for name in chosen] or models()
    rounds, missing = _rounds(names, traffic, progress, link)
    return Comparison(
        traffic=traffic,
        rows=tuple(row(name, rounds[name]) for name in names if name in rounds),
        crowds=() if chosen else crowds(progress, link),
        link=link.description if link else None,
        missing=missing,
        drawn=tuple(found for name in names if name in rounds and (found := _drawn(name, rounds[name][0]))),
        chosen=bool(chosen),
    )


def _model(name: str) -> str:
    """The model of this name. Raises WrongUsage."""
    if name not in models():
        raise WrongUsage(f"compare knows no model {name}", f"{did_you_mean(name, models())}the models: {', '.join(models())}")
    return name


def _drawn(name: str, first: Round) -> Drawn | None:
    found = figures.figure(first.result)
    return Drawn("", first.result, found) if found else None


def _rounds(
    names: Sequence[str], traffic: Traffic, progress: Callable[[str], None], link: Link | None = None
) -> tuple[dict[str, list[Round]], dict[str, str]]:
    """Runs these models on this traffic, ROUNDS times in turn under one instrument. Returns the rounds of each model, and for
    each model that could not be run the reason.
    """
    seen: dict[str, list[run.Served]] = {}
    missing: dict[str, str] = {}
    with run.clients_process(link) as clients, Instrument() as instrument:
        for number in range(ROUNDS):
            progress(f"round {number + 1} of {ROUNDS}, traced: {count(len(names), 'model')}, {traffic.words}")
            for name in _turned(names, number * len(names) // ROUNDS):
                if name in missing:
                    continue
                try:
                    seen.setdefault(name, []).append(
                        run.serve(Case(name, name), traffic, instrument.invite(), link, clients, memory_at_half=True)
                    )
                except run.NotHere as error:
                    missing[name] = str(error)
        instrument.wait_until_gone(2 * PATIENCE)
        progress("reading the recorded events")
        result = measure(instrument.stop())
    rounds = {name: [_round(result, served, name, traffic, link) for served in found] for name, found in seen.items() if found}
    return rounds, missing


def _round(result: Result, served: run.Served, name: str, traffic: Traffic, link: Link | None) -> Round:
    """One run of one model as a result of its own, with what its clients saw."""
    context = ServerRun(
        lab=COMPARE,
        iolab=VERSION,
        model=name,
        traffic=traffic.sent,
        traffic_words=traffic.words,
        link=link.description if link else None,
        traffic_seen=served.traffic_seen,
        witness=served.witness,
    )
    alone = replace(of_process(result, served.pid), context=context)
    return Round(alone, len(served.traffic_seen.exchanges), served.witness.memory_bytes)


def _turned(names: Sequence[str], by: int) -> list[str]:
    """The same names in turn, from another one on."""
    return [*names[by:], *names[:by]]


def crowds(progress: Callable[[str], None], link: Link | None = None) -> tuple[Crowd, ...]:
    """The rivals at few and at many connections, untraced, so that only the model makes the difference."""
    trips: dict[tuple[int, str], list[int]] = collections.defaultdict(list)
    cpu: dict[tuple[int, str], list[int]] = collections.defaultdict(list)
    with run.clients_process(link) as clients:
        for number in range(UNTRACED_ROUNDS):
            numbers = ", ".join(map(str, CONNECTIONS))
            progress(f"round {number + 1} of {UNTRACED_ROUNDS}, untraced: {', '.join(RIVALS)} at {numbers} connections")
            for connections in CONNECTIONS:
                for name in _turned(RIVALS, number % len(RIVALS)):
                    seen = run.serve(Case(name, name), crowd_traffic(connections), None, link, clients, steady=True)
                    later = [exchange.round_trip for client in seen.traffic_seen.clients for exchange in client.exchanges[1:]]
                    trips[connections, name].append(summary.times(later).p50 or 0)
                    cpu[connections, name].append(seen.steady_cpu_ns)
    return tuple(Crowd(connections, _ranking(trips, connections), _ranking(cpu, connections)) for connections in CONNECTIONS)


def _ranking(figures: dict[tuple[int, str], list[int]], connections: int) -> Ranking:
    return Ranking({name: found for name in RIVALS if (found := spread(figures[connections, name]))})


def _connections(crowd: Crowd) -> str:
    return count(crowd.connections, "connection")


def _figures(ranking: Ranking) -> str:
    return f"{ranking.words} ({', '.join(f'{name} {figure.us}' for name, figure in ranking.order)})"


def _faster(ranking: Ranking) -> bool:
    """Is a multiplexer below threads, beyond the spread of the rounds?"""
    return not ranking.among_the_lowest("threads") and ranking.lowest[0] in MULTIPLEXERS


@check("with few connections a multiplexer is no faster than threads", claims=("C23",))
def few_connections(comparison: Comparison) -> Finding:
    """Compares the calls per message, under the instrument, and the round trips at 1 and at 10 connections, untraced."""
    alone, epoll, select = (comparison.row(name).calls_per_message for name in ("blocking", "epoll", "select"))
    few = [crowd for crowd in comparison.crowds if crowd.connections <= FEW]
    found = f"calls per message: blocking {alone}, epoll {epoll}, select {select}; round trip: " + "; ".join(
        f"at {_connections(crowd)} {_figures(crowd.round_trip_ns)}" for crowd in few
    )
    if not few or not alone + 0.5 < min(epoll, select):
        return failed(found)
    faster = [crowd for crowd in few if _faster(crowd.round_trip_ns)]
    if faster:
        return refuted(found) if len(faster) == len(few) else refined(found)
    unclear = [
        _connections(crowd) for crowd in few if crowd.round_trip_ns.wide(*RIVALS) and len(crowd.round_trip_ns.lowest) > 1
    ]
    if unclear:
        return unavailable(f"{found}; at {joined(unclear)} the rounds of one model differ by more than a factor of 2")
    return confirmed(found)


@check("with few connections the advantage of a multiplexer over threads disappears", claims=("C61",))
def crossing(comparison: Comparison) -> Finding:
    """From how many connections on a multiplexer answers faster, or takes less CPU time, than a thread for each connection."""
    crowds = comparison.crowds
    advantages = {
        "round trip": [_faster(crowd.round_trip_ns) for crowd in crowds],
        "CPU time": [_faster(crowd.cpu_per_message_ns) for crowd in crowds],
    }
    found = "advantage of the better multiplexer over threads, beyond the spread of the rounds: " + "; ".join(
        f"{measure}: {_where(crowds, there)}" for measure, there in advantages.items()
    )
    first, last = [[there[at] for there in advantages.values()] for at in (0, -1)]
    if any(first):
        return refuted(found) if all(first) else refined(found)
    return confirmed(found) if any(last) else unavailable(f"{found}; this run shows no advantage that could disappear")


def _where(crowds: Sequence[Crowd], there: Sequence[bool]) -> str:
    """At which numbers of connections the advantage is there, and between which numbers it begins."""
    numbers = [crowd.connections for crowd in crowds]
    found = [str(number) for number, here in zip(numbers, there, strict=True) if here]
    lacking = [str(number) for number, here in zip(numbers, there, strict=True) if not here]
    words = ", ".join(
        f"{word} at {joined(at)} {'connection' if at == ['1'] else 'connections'}"
        for word, at in (("an advantage", found), ("none", lacking))
        if at
    )
    first = there.index(True) if any(there) else 0
    if first and all(there[first:]):
        words += f"; it begins between {numbers[first - 1]} and {numbers[first]} connections"
    return words


@check("what each model does in phase 1 and in phase 2 is measured, and the models differ in phase 1", claims=("C47",))
def figure(comparison: Comparison) -> Finding:
    """The comparison figure of UNP 6.2: where each model waits in phase 1, and whose call makes the copy in phase 2."""
    waits = collections.Counter(kind_of_waiting(row.phase_1) for row in comparison.rows if row.phase_1)
    unknown = [row.model for row in comparison.rows if not row.phase_1 or not row.phase_2]
    workers = [row.model for row in comparison.rows if row.phase_2 and row.phase_2.worker]
    found = f"{count(len(comparison.rows), 'model')}; phase 1: " + ", ".join(
        f"{number} {kind}" for kind, number in waits.most_common()
    )
    found += f"; phase 2: a worker makes the copy in {count(len(workers), 'model')} ({', '.join(workers)}), the server's"
    found += " first thread in the others"
    if unknown or len(waits) < 4:
        return failed(found + (f"; not known: {', '.join(unknown)}" if unknown else ""))
    return confirmed(found)


@check("all models but asynchronous I/O are synchronous: phase 2 holds a thread of the process", claims=("C43",))
def synchronous(comparison: Comparison) -> Finding:
    """Whose call makes the copy: in the synchronous models, and behind the interfaces that are called asynchronous."""
    rows = [row for row in comparison.rows if row.model not in ASYNCHRONOUS]
    held = [row.model for row in rows if row.phase_2]
    found = f"{len(held)} of {len(rows)} synchronous models: a thread of the process makes the copy inside a system call"
    if len(held) < len(rows) or not rows:
        return failed(found)
    others = [row for row in comparison.rows if row.model in ASYNCHRONOUS and row.phase_2]
    if not others:
        return confirmed(found)
    whose = [
        f"in {row.model} {'a helper thread' if row.phase_2.worker else 'the thread that waited'} (in {row.phase_2.call})"
        for row in others
        if row.phase_2
    ]
    return refined(
        f"{found}; on Linux a thread of the process makes it behind asynchronous interfaces, too: {', '.join(whose)}"
    )
