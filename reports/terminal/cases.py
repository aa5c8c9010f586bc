"""Several servers on the same traffic: their figures in one table, then the calls and the sleeps of each."""

from __future__ import annotations

from collections.abc import Callable

from findings.side_by_side import CaseFigures, CaseReport
from probes.words import visible
from reports.terminal import calls, sleeps
from reports.terminal.screen import Column, Screen, figures, note, section
from reports.words import duration, share
from runs.report import Report

_ROWS, _SLEEPS = 4, 3  # of each server: calls, kinds of sleep


def show(report: Report, out: Screen) -> None:
    """The table, then each server."""
    section(out, "the servers, side by side")
    table(report, out)
    for case in report.cases:
        if case.figures is None:
            note(out, f"{case.name} could not be run here: {visible(case.skipped)}", "yellow")
    for case in report.cases:
        if case.figures is not None:
            section(out, f"{case.name}: system calls, in ms")
            calls.show(case.figures.result, out, _ROWS)
            sleeps.show(case.figures.result, out, _SLEEPS, title=False)
    out.print()
    calls.notes(report, out)


def table(report: Report, out: Screen) -> None:
    """One column for each server, one row for each figure."""
    columns = [Column(visible(case.name)) for case in report.cases]
    servers = ["server", *(visible(case.server.rpartition(":")[2]) for case in report.cases)]
    rows = [[label, *(_cell(one, show) for one in report.cases)] for label, show in _FIGURES.items()]
    figures(out, "", columns, [servers, *rows])


def _cell(case: CaseReport, show: Callable[[CaseFigures], str]) -> str:
    return "-" if case.figures is None else show(case.figures)


def _duration(ns: int | None) -> str:
    return "-" if ns is None else duration(ns)


_FIGURES: dict[str, Callable[[CaseFigures], str]] = {
    "round trip, median": lambda one: _duration(one.round_trip.p50),
    "round trip, longest": lambda one: _duration(one.round_trip.longest),
    "round trip, untraced": lambda one: _duration(one.untraced_round_trip),
    "unread, median": lambda one: _duration(one.messages.ready_to_notified.p50),
    "unread, longest": lambda one: _duration(one.messages.ready_to_notified.longest),
    "calls per answer": lambda one: f"{one.calls_per_answer:,.1f}",
    "switches per answer": lambda one: f"{one.switches_per_answer:,.1f}",
    "awake": lambda one: share(one.awake, one.wall),
    "threads": lambda one: f"{len(one.result.threads)}",
}
