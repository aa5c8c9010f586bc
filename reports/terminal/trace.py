"""The page of a trace: the first screen, then messages, processes, system calls, start-up, sleeps, threads, quality."""

from __future__ import annotations

from probes.words import count
from reports.terminal import calls, looked_for, messages, overview, processes, quality, threads, waits
from reports.terminal.screen import Screen, note, section
from reports.words import duration
from runs.report import Report

_START_UP_ERRORS = 8  # kinds that are listed


def show(report: Report, out: Screen) -> None:
    """The whole page."""
    overview.show(report, out)
    if report.part and not report.result.threads:
        return
    messages.show(report, out)
    if not report.part:
        processes.show(report, out)
    _calls(report, out)
    if report.start and report.start.calls:
        _start_up(report, out)
    waits.show(report, out)
    threads.show_kinds(report, out)
    if not report.part:
        looked_for.show(report, out)
    quality.show(report.whole, out)


def _calls(report: Report, out: Screen) -> None:
    rows = report.service_rows
    if not rows:
        return
    section(out, "system calls" + (" of the service" if report.without_start_up else "") + ", in ms")
    calls.phases(rows, out, calls.ROWS)
    note(out, "sorted by the time in which the threads were not idle")
    section(out, "how long one call took")
    calls.durations(rows, report.longest, out, calls.ROWS)
    calls.notes(report, out)


def _start_up(report: Report, out: Screen) -> None:
    """The start-up in a few lines: its calls would crowd out the service."""
    start = report.start
    assert start is not None
    section(out, "start-up")
    longest_rows = ", ".join(f"{row.name} {duration(row.total)}" for row in report.start_up_rows[:5])
    ended = f" and {count(start.processes, 'process')} that ended in it" if start.processes else ""
    note(
        out,
        f"{duration(start.ns)} until the first wait of an event loop or for a connection: {count(start.count, 'call')}{ended}",
        "",
    )
    note(out, f"longest in total: {longest_rows}", "")
    if start.errors:
        listed = [f"{name} {number:,}" for name, number in list(start.errors.items())[:_START_UP_ERRORS]]
        note(out, "errors: " + ", ".join(listed) + (" ..." if len(start.errors) > _START_UP_ERRORS else ""))
