"""A property of a server, and the verdict of a run about it."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from findings.view import Finding, Run, confirmed, failed, unavailable
from probes.measure.result import Verdict


class Holds(enum.StrEnum):
    """Whether a run has a property."""

    HELD = "held"
    BROKEN = "broken"
    NOT_SHOWN = "not shown"  # the run cannot show it; the evidence says why


@dataclass(frozen=True)
class Observation:
    """A run's verdict about a property, and the figures for it."""

    holds: Holds
    evidence: str


def held(evidence: str) -> Observation:
    """The run has the property."""
    return Observation(Holds.HELD, evidence)


def broken(evidence: str) -> Observation:
    """The run does not have the property."""
    return Observation(Holds.BROKEN, evidence)


def not_shown(why: str) -> Observation:
    """The run cannot show the property; `why` is the reason."""
    return Observation(Holds.NOT_SHOWN, why)


@dataclass(frozen=True)
class Property:
    """A statement about a server, the function that holds it against a run, and the remedy where it is false."""

    id: str  # "never-spins": the key in JSON
    statement: str  # "no thread polls in a loop"
    remedy: str  # what to change in a program that breaks it
    observe: Callable[[Run], Observation]

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
