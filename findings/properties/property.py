"""A property of a program, and the verdict of a run about it: with its evidence, its cost, and where it is broken."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from findings.view import Finding, Run, confirmed, failed, unavailable
from probes.measure.result import Thread, Verdict


class Holds(enum.StrEnum):
    """Whether a run has a property."""

    HELD = "held"
    BROKEN = "broken"
    NOT_SHOWN = "not shown"  # the run cannot show it; the evidence says why


class Gravity(enum.IntEnum):
    """What a program loses where it breaks a property: the order of findings before their cost."""

    LOST = 0  # data, connections or processes
    LATE = 1  # time in which work waited
    WASTED = 2  # CPU time, memory, descriptors


@dataclass(frozen=True)
class Cost:
    """What a broken property cost in this run. 0: this kind of cost does not apply, or its size is not known."""

    ns: int = 0  # in which work waited, or in which a CPU worked without result
    calls: int = 0  # system calls that a right program would not make, or that failed
    bytes: int = 0  # that arrived late or never

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.ns + other.ns, self.calls + other.calls, self.bytes + other.bytes)


@dataclass(frozen=True)
class Place:
    """Where a property is broken. None: the place has no such part."""

    pid: int | None = None
    tid: int | None = None
    thread: int | None = None  # the serial number of Thread and Call
    name: str = ""  # of the thread
    call: str | None = None
    fd: int | None = None
    descriptor: str = ""  # in words; "": not known. diagnose adds them
    since: int | None = None  # ns of CLOCK_MONOTONIC, as in Call.enter
    cost: Cost = Cost()


@dataclass(frozen=True)
class Observation:
    """A run's verdict about a property, and the figures for it. `places` are in order of cost, the worst first."""

    holds: Holds
    evidence: str
    cost: Cost = Cost()
    places: tuple[Place, ...] = ()
    remedy: str = ""  # for this case; "": that of the property


def held(evidence: str) -> Observation:
    """The run has the property."""
    return Observation(Holds.HELD, evidence)


def broken(evidence: str, cost: Cost | None = None, places: Iterable[Place] = (), remedy: str = "") -> Observation:
    """The run does not have the property. Without `cost`, the cost is that of the places together."""
    ordered = tuple(sorted(places, key=lambda place: (-place.cost.ns, -place.cost.bytes, -place.cost.calls)))
    whole = sum((place.cost for place in ordered), Cost()) if cost is None else cost
    return Observation(Holds.BROKEN, evidence, whole, ordered, remedy)


def not_shown(why: str) -> Observation:
    """The run cannot show the property; `why` is the reason."""
    return Observation(Holds.NOT_SHOWN, why)


def place_of(
    thread: Thread, call: str | None = None, fd: int | None = None, since: int | None = None, cost: Cost | None = None
) -> Place:
    """A place in a thread."""
    return Place(
        pid=thread.pid,
        tid=thread.tid,
        thread=thread.serial,
        name=thread.name,
        call=call,
        fd=fd,
        since=since,
        cost=cost or Cost(),
    )


@dataclass(frozen=True)
class Property:
    """A statement about a program, the function that checks it in a run, and the remedy where it is false."""

    id: str  # "never-spins": the key in JSON
    statement: str  # "no thread polls in a loop"
    remedy: str  # what to change in a program that breaks it
    observe: Callable[[Run], Observation]
    gravity: Gravity = Gravity.WASTED
    lab: str | None = None  # the name of a lab that shows a program that breaks it, and the same program mended
    fault: str = ""  # the statement's contrary, as a short statement: "a thread polls in a loop"
    needs_all: bool = False  # it rests on calls that are missing, so a recording that is not whole can't show it

    def check(self, run: Run) -> Finding:
        """The same as a lab's check: held is confirmed, broken is failed, and the evidence of a failure ends in the remedy."""
        seen = self.observe(run)
        if seen.holds is Holds.NOT_SHOWN:
            return unavailable(seen.evidence)
        return confirmed(seen.evidence) if seen.holds is Holds.HELD else failed(f"{seen.evidence}. Remedy: {self.remedy}")


def broken_of(run: Run, *properties: Property) -> str:
    """The evidence, and the remedy, of those properties that the run breaks; "" where it breaks none of them."""
    findings = [each.check(run) for each in properties]
    return "; ".join(finding.evidence for finding in findings if finding.verdict is Verdict.FAILED)


def together(run: Run, *properties: Property) -> Finding:
    """Several properties as one check: failed by those that are broken, else confirmed by what all of them show."""
    if broken := broken_of(run, *properties):
        return failed(broken)
    findings = [each.check(run) for each in properties]
    shown = [finding for finding in findings if finding.verdict is Verdict.CONFIRMED] or findings
    return Finding(shown[0].verdict, "; ".join(finding.evidence for finding in shown))
