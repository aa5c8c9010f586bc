"""What is wrong with a program: every property of any program, checked in a run.

`diagnose(result)` needs no knowledge of the program: which threads are event loops, which descriptors are connections, and who
waits for whom follow from the recorded calls.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from findings.properties import OF_ANY_PROGRAM
from findings.properties.property import Cost, Gravity, Holds, Observation, Place, Property, not_shown
from findings.view import Run
from findings.whole import first_part, why_not_whole
from probes.measure.result import Result


@dataclass(frozen=True)
class ProgramFinding:
    """One property of the program: whether this run has it, and where and how dearly the program breaks it."""

    id: str
    verdict: Holds
    statement: str
    evidence: str
    cost: Cost
    places: tuple[Place, ...]  # the worst first; empty unless the property is broken
    remedy: str
    lab: str | None  # `./iolab lab NAME` shows a program that breaks it, and the same program mended
    gravity: Gravity
    fault: str  # what is wrong in short, where the property is broken: "a thread polls in a loop"

    @property
    def place(self) -> Place | None:
        """The worst place."""
        return self.places[0] if self.places else None


@dataclass(frozen=True)
class Diagnosis:
    """All findings of a run: first those that are broken, the worst first, then those that hold, then those not shown."""

    findings: tuple[ProgramFinding, ...]

    @property
    def broken(self) -> tuple[ProgramFinding, ...]:
        """What is wrong, the worst first: lost data and lost processes, then lost time, then waste; each by its cost."""
        return self._with(Holds.BROKEN)

    @property
    def held(self) -> tuple[ProgramFinding, ...]:
        """What was looked for, and is right."""
        return self._with(Holds.HELD)

    @property
    def not_shown(self) -> tuple[ProgramFinding, ...]:
        """What this run can't show: the program did nothing of the kind, or the recording is not whole."""
        return self._with(Holds.NOT_SHOWN)

    def _with(self, verdict: Holds) -> tuple[ProgramFinding, ...]:
        return tuple(finding for finding in self.findings if finding.verdict is verdict)


def diagnose(result: Result) -> Diagnosis:
    """Checks every property of any program in the run."""
    run, part = Run(result), first_part(result)
    beginning = Run(part) if part else None
    findings = [_finding(each, _observe(each, run, beginning), run) for each in OF_ANY_PROGRAM]
    return Diagnosis(tuple(sorted(findings, key=_order)))


def _observe(cited: Property, run: Run, beginning: Run | None) -> Observation:
    """The run's verdict. A property that rests on missing calls is checked in the part that has them all, if there is one."""
    why = why_not_whole(run.result) if cited.needs_all else ""
    if not why:
        return cited.observe(run)
    if beginning is None:
        return not_shown(why)
    seen = cited.observe(beginning)
    return replace(seen, evidence=f"{seen.evidence} (of the beginning: {why})")


def _finding(cited: Property, seen: Observation, run: Run) -> ProgramFinding:
    return ProgramFinding(
        id=cited.id,
        verdict=seen.holds,
        statement=cited.statement,
        evidence=seen.evidence,
        cost=seen.cost,
        places=tuple(_named(place, run) for place in seen.places),
        remedy=seen.remedy or cited.remedy,
        lab=cited.lab,
        gravity=cited.gravity,
        fault=cited.fault or f"not so: {cited.statement}",
    )


def _named(place: Place, run: Run) -> Place:
    """The place with its descriptor in words."""
    if place.fd is None or place.thread is None:
        return place
    return replace(
        place, descriptor=run.descriptors.from_then_on(place.thread, place.fd, place.since or run.result.threads[0].end)
    )


def _order(finding: ProgramFinding) -> tuple[int, int, int, int, int]:
    verdict = [Holds.BROKEN, Holds.HELD, Holds.NOT_SHOWN].index(finding.verdict)
    cost = finding.cost
    return verdict, finding.gravity if verdict == 0 else 0, -cost.ns, -cost.bytes, -cost.calls
