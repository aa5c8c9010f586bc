"""The marks of a class on the terminal: a line for each submission, and how many lost each criterion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO

from rich.table import Table
from rich.text import Text

from probes.measure.percentiles import median
from probes.words import count
from reports.terminal.screen import Screen, printing, section
from runs.grading.mark import Mark
from runs.grading.whole_class import common_faults

_STYLES = {"pass": "green", "fail": "red", "inconclusive": "yellow"}


def write(marks: Sequence[Mark], file: IO[str], width: int | None = None) -> None:
    """The tables."""
    with printing(file, width) as out:
        model = marks[0].model if marks else ""
        out.print(Text(f"{count(len(marks), 'submission')}, model {model}", style="bold"))
        _points(out, marks)
        section(out, "submissions")
        table = Table(box=None, padding=(0, 1), show_edge=False)
        table.add_column("name", overflow="fold")
        table.add_column("points", justify="right", no_wrap=True)
        table.add_column("faults", overflow="fold", ratio=1)
        for mark in marks:
            points = f"{mark.points}/{mark.of}" if mark.items else "-"
            faults = mark.broken or ", ".join(item.criterion.id for item in mark.lost) or "none"
            words = f"inconclusive: {faults}" if mark.inconclusive else faults
            table.add_row(Text(mark.name), Text(points, style=_STYLES[mark.status]), Text(words))
        out.print(table)
        _statistics(out, marks)


def _points(out: Screen, marks: Sequence[Mark]) -> None:
    points = sorted(100 * mark.points / mark.of for mark in marks if mark.of)
    if points:
        out.print(f"median {median(points) or 0:.0f} %, lowest {points[0]:.0f} %, highest {points[-1]:.0f} % of the points")


def _statistics(out: Screen, marks: Sequence[Mark]) -> None:
    statements = {item.criterion.id: item.criterion.statement for mark in marks for item in mark.items}
    rows = [row for row in common_faults(marks) if row.lost]
    if not rows:
        return
    section(out, "how many submissions lost each criterion")
    table = Table(box=None, padding=(0, 1), show_edge=False)
    table.add_column("lost", justify="right", no_wrap=True)
    table.add_column("criterion", no_wrap=True)
    table.add_column("statement", overflow="fold", ratio=1)
    for row in rows:
        table.add_row(f"{row.lost} of {row.judged}", row.id, Text(statements[row.id]))
    out.print(table)
