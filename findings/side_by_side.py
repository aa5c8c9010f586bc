"""The figures of several servers on the same traffic: one row of figures for each case of a lab."""

from __future__ import annotations

from dataclasses import dataclass

from findings import summary
from findings.summary import MessageFigures, Times
from findings.view import Run
from probes.context import CasesRun, Overhead, ServedCase, Witness
from probes.measure.result import Result


@dataclass(frozen=True)
class CaseFigures:
    """What one server's clients waited for, and what its threads did."""

    result: Result  # of this server alone
    round_trip: Times  # of each echo, as the clients measured it
    untraced_round_trip: int | None  # median, ns
    messages: MessageFigures
    calls_per_answer: float | None  # None: no answer came
    switches_per_answer: float | None
    awake: int  # ns of all threads
    wall: int


@dataclass(frozen=True)
class CaseReport:
    """One case of a lab. Without figures this machine could not run it, for the reason in `skipped`."""

    name: str
    server: str
    skipped: str
    witness: Witness | None
    overhead: Overhead | None
    figures: CaseFigures | None


def cases(result: Result) -> tuple[CaseReport, ...]:
    """Every case of a result, in the lab's order; none for a run of one server."""
    if not isinstance(result.context, CasesRun):
        return ()
    runs = Run(result).cases
    return tuple(
        CaseReport(
            name=case.name,
            server=case.server,
            skipped=case.skipped or "",
            witness=case.witness,
            overhead=case.overhead,
            figures=_figures(runs[case.name], case) if case.name in runs else None,
        )
        for case in result.context.cases
    )


def _figures(run: Run, case: ServedCase) -> CaseFigures:
    result = run.result
    answers = len(run.round_trips)
    return CaseFigures(
        result=result,
        round_trip=summary.times(run.round_trips),
        untraced_round_trip=case.overhead.untraced_round_trip_ns if case.overhead else None,
        messages=summary.messages(result),
        calls_per_answer=sum(call.count for call in result.calls) / answers if answers else None,
        switches_per_answer=sum(thread.voluntary_switches for thread in result.threads) / answers if answers else None,
        awake=sum(thread.awake for thread in result.threads),
        wall=sum(thread.wall for thread in result.threads),
    )
