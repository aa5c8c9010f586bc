"""Several servers on the same traffic: their figures in one table, then the calls and the sleeps of each."""

from __future__ import annotations

from collections.abc import Callable

from findings.side_by_side import CaseFigures, CaseReport
from probes.words import visible
from reports.terminal import calls, sleeps
from reports.terminal.screen import Column, Screen, figures, note, section
from reports.words import duration, share
from runs.report import Report

_COLUMNS = 5  # so many servers fit beside each other
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
    """One column for each server, one row for each figure; a row for each server where these are many."""
    if len(report.cases) > _COLUMNS:
        _rows(report, out, _TIMES)
        out.print()
        _rows(report, out, _COUNTS)
        return
    columns = [Column(visible(case.name)) for case in report.cases]
    servers = ["server", *(visible(case.server.rpartition(":")[2]) for case in report.cases)]
    figures(out, "", columns, [servers, *rows(report)])


def rows(report: Report) -> list[list[str]]:
    """One row for each figure: its name, then the figure of each server."""
    return [
        [label.replace("\n", " "), *(_cell(case, show) for case in report.cases)] for label, show in (_TIMES | _COUNTS).items()
    ]


def _rows(report: Report, out: Screen, shown: Figures) -> None:
    """One row for each server."""
    columns = [Column(label) for label in shown]
    figures(out, "", columns, [[visible(case.name), *(_cell(case, show) for show in shown.values())] for case in report.cases])


def _cell(case: CaseReport, show: Callable[[CaseFigures], str]) -> str:
    return "-" if case.figures is None else show(case.figures)


def _duration(ns: int | None) -> str:
    return "-" if ns is None else duration(ns)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}"


Figures = dict[str, Callable[[CaseFigures], str]]
_TIMES: Figures = {
    "round trip,\nmedian": lambda case: _duration(case.round_trip.p50),
    "round trip,\nlongest": lambda case: _duration(case.round_trip.longest),
    "round trip,\nuntraced": lambda case: _duration(case.untraced_round_trip),
    "unread,\nmedian": lambda case: _duration(case.messages.ready_to_notified.p50),
    "unread,\nlongest": lambda case: _duration(case.messages.ready_to_notified.longest),
}
_COUNTS: Figures = {
    "calls\nper answer": lambda case: _number(case.calls_per_answer),
    "switches\nper answer": lambda case: _number(case.switches_per_answer),
    "awake": lambda case: share(case.awake, case.wall),
    "threads": lambda case: f"{len(case.result.threads)}",
}
