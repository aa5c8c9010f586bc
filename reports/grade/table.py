"""Marks as CSV: a line for each criterion of one submission; for a class a line for each submission."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from typing import IO

from reports.grade.words import reason
from runs.grading.mark import Item, Mark
from runs.grading.whole_class import common_faults

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet takes a cell that begins so for a formula (OWASP, CSV injection)


def write(mark: Mark, file: IO[str]) -> None:
    """One submission: the criteria with their points and reasons."""
    lines = csv.writer(file, lineterminator="\n")
    lines.writerow(["name", "model", "criterion", "statement", "verdict", "points", "of", "reason"])
    for item in mark.items:
        points = [str(item.verdict), item.points, item.of]
        lines.writerow([safe(mark.name), mark.model, item.criterion.id, item.criterion.statement, *points, safe(reason(item))])


def write_class(marks: Sequence[Mark], file: IO[str]) -> None:
    """A class: each submission with its points of each criterion. An empty cell: the points do not count."""
    names = list(dict.fromkeys(item.criterion.id for mark in marks for item in mark.items))
    lines = csv.writer(file, lineterminator="\n")
    lines.writerow(["name", "verdict", "points", "of", *names, "faults", "not marked"])
    for mark in marks:
        points = {item.criterion.id: _cell(item) for item in mark.items}
        faults = "; ".join(item.criterion.id for item in mark.lost)
        lines.writerow(
            [
                safe(mark.name),
                mark.status,
                mark.points,
                mark.of,
                *(points.get(name, "") for name in names),
                faults,
                safe(mark.broken),
            ]
        )


def write_statistics(marks: Sequence[Mark], file: IO[str]) -> None:
    """How many submissions lost each criterion."""
    lines = csv.writer(file, lineterminator="\n")
    lines.writerow(["criterion", "lost", "judged"])
    for row in common_faults(marks):
        lines.writerow([row.id, row.lost, row.judged])


def _cell(item: Item) -> str:
    return str(item.points) if item.counts else ""


def safe(text: str) -> str:
    """A cell that no spreadsheet takes for a formula.

    >>> safe("=HYPERLINK(1)"), safe("ada")
    ("'=HYPERLINK(1)", 'ada')
    """
    return f"'{text}" if text.startswith(_FORMULA) else text
