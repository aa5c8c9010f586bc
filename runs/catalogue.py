"""What the catalogues list: the labs by chapter, the claims with their checks, and what this machine offers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import labs
from labs.claims import CLAIMS
from labs.kit.lab import CHAPTERS
from probes.capture.capabilities import can_trace
from probes.capture.privileges import Finding, State
from probes.measure.result import Check
from runs import compare
from runs import lab as run

COMPARE = compare.COMPARE


@dataclass(frozen=True)
class LabEntry:
    """One lab."""

    name: str
    chapter: str
    model: str
    question: str
    claims: tuple[str, ...]
    checks: tuple[str, ...]


@dataclass(frozen=True)
class Support:
    """A check that tests a claim, in a lab or in the comparison. `check` has the verdict of this run; None: it was not run."""

    lab: str
    name: str
    check: Check | None


@dataclass(frozen=True)
class ClaimEntry:
    """One claim with the checks that test it."""

    id: str
    chapter: str
    text: str
    supports: tuple[Support, ...]


@dataclass(frozen=True)
class Capability:
    """One finding of doctor, with the remedy if something is missing."""

    name: str
    state: str  # yes, limited, no, info
    found: str
    remedy: str


@dataclass(frozen=True)
class Machine:
    """The capabilities of this machine. `lacking` has, for each lab that cannot run here, the missing thing."""

    capabilities: tuple[Capability, ...]
    can_trace: bool
    blocking: tuple[str, ...]  # the capabilities without which nothing can be traced
    labs: tuple[str, ...]
    lacking: Mapping[str, str]


def all_labs() -> tuple[LabEntry, ...]:
    """Every lab, chapter by chapter."""
    entries = [_lab(name) for name in labs.names()]
    return tuple(entry for chapter in CHAPTERS for entry in entries if entry.chapter == chapter)


def _lab(name: str) -> LabEntry:
    lab = labs.find(name)
    checks = tuple(check for check, _claims, _function in lab.checks)
    return LabEntry(name, lab.chapter, lab.model, lab.question, tuple(lab.claims), checks)


def all_claims(judged: Mapping[str, Mapping[str, Check]] | None = None) -> tuple[ClaimEntry, ...]:
    """Every claim, in order; with `judged` (lab -> name of the check -> check) each check has its verdict."""
    checks = [(name, check, ids) for name in labs.names() for check, ids, _function in labs.find(name).checks]
    checks += [(COMPARE, check, ids) for check, ids, _function in compare.CHECKS]
    return tuple(
        ClaimEntry(
            id=claim.id,
            chapter=claim.chapter,
            text=claim.text,
            supports=tuple(
                Support(lab, name, judged[lab][name] if judged is not None else None)
                for lab, name, ids in checks
                if claim.id in ids
            ),
        )
        for claim in CLAIMS.values()
    )


def machine(findings: Sequence[Finding]) -> Machine:
    """The labs that run on a machine with these findings."""
    lacks = {name: run.lacks(labs.find(name)) for name in labs.names()}
    able = can_trace(list(findings))
    return Machine(
        capabilities=tuple(
            Capability(finding.name, finding.state.value, finding.found, finding.remedy) for finding in findings
        ),
        can_trace=able,
        blocking=tuple(finding.name for finding in findings if finding.state is State.NO),
        labs=tuple(name for name, lack in lacks.items() if lack is None) if able else (),
        lacking={name: lack for name, lack in lacks.items() if lack is not None},
    )
