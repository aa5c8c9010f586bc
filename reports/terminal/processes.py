"""Each process: CPU time beside wall time, and what it did in that time."""

from __future__ import annotations

from findings.threads.work import ProcessWork
from probes.words import count, visible
from reports import endings
from reports.terminal.screen import Column, Screen, figures, note, section
from reports.words import duration, size
from runs.report import Report

_ROWS = 12
_COLUMNS = [
    Column("wall"),
    Column("CPU", "red"),
    Column("calls/s"),
    Column("messages\n/s"),
    Column("received\n/s"),
    Column("sent/s"),
]


def show(report: Report, out: Screen) -> None:
    """The processes that used the most CPU time."""
    section(out, "processes: CPU time and rates")
    short = {pid for group in report.groups if group.short_lived for pid in group.pids}
    works = [work for work in report.processes if work.pid not in short] or list(report.processes)
    figures(out, "process", _COLUMNS, map(_cells, works[:_ROWS]))
    if rest := [work for work in report.processes if work not in works[:_ROWS]]:
        used = sum(work.cpu for work in rest)
        note(
            out, f"{count(len(rest), 'other process')}, {duration(used)} on a CPU, {count(sum(w.calls for w in rest), 'call')}"
        )
    _endings(report, out)


def _endings(report: Report, out: Screen) -> None:
    """How the processes ended: all that did not end with status 0."""
    found = endings.sentences(report.endings)
    for words in found[:_ROWS]:
        note(out, words, "yellow")
    if rest := found[_ROWS:]:
        note(out, f"and {count(len(rest), 'other ending')} (--json lists all)")
    if zero := sum(1 for ended in report.endings if ended.status == 0):
        note(out, f"{count(zero, 'process')} ended with exit status 0")


def _cells(work: ProcessWork) -> list[str]:
    return [
        visible(f"{work.name} {work.pid}"),
        duration(work.wall),
        duration(work.cpu),
        f"{work.rate(work.calls):,.0f}",
        "n/a" if work.messages is None else f"{work.rate(work.messages):,.0f}" if work.messages else "-",
        size(round(work.rate(work.received))) if work.received else "-",
        size(round(work.rate(work.sent))) if work.sent else "-",
    ]
