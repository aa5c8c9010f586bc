"""The page of a mark: each criterion with what was seen and the remedy, then what the probes saw of the server."""

from __future__ import annotations

from typing import IO

from findings.pictures.moment import Moment
from reports.html import page, templates
from reports.terminal import moment
from runs.grading.mark import Mark, Verdict
from runs.report import Report

# Each verdict's class in the style sheet, and its word where the page has no points.
_KINDS = {
    Verdict.EARNED: "confirmed",
    Verdict.LOST: "failed",
    Verdict.NOT_SHOWN: "unavailable",
    Verdict.INCONCLUSIVE: "inconclusive",
}
_COLUMNS = 90  # of a picture in text
_WORDS = {
    Verdict.EARNED: "met",
    Verdict.LOST: "fault",
    Verdict.NOT_SHOWN: "not shown",
    Verdict.INCONCLUSIVE: "inconclusive",
}


def write(mark: Mark, report: Report, file: IO[str], points: bool) -> None:
    """The whole page; with `points` each criterion has its points (grade), without it is met or not (check)."""
    order = (Verdict.LOST, Verdict.INCONCLUSIVE, Verdict.NOT_SHOWN, Verdict.EARNED)
    content = page.content(report) | {
        "title": f"{'grade' if points else 'check'} {mark.name or mark.model}",
        "mark": mark,
        "points": points,
        "items": sorted(mark.items, key=lambda item: order.index(item.verdict)),
        "met": sum(1 for item in mark.items if item.verdict is Verdict.EARNED),
        "judged": sum(1 for item in mark.items if item.counts),
        "kinds": _KINDS,
        "words": _WORDS,
        "drawn": _drawn,
    }
    file.write(templates.render("mark.html", content))


def _drawn(picture: Moment) -> str:
    """The moment as the terminal shows it."""
    return "\n".join(line.plain.rstrip() for line in moment.draw(picture, _COLUMNS))
