"""A mark as workflow commands of GitHub Actions: an annotation for each fault, and the points as a notice."""

from __future__ import annotations

from typing import IO

from reports.grade.words import reason
from runs.grading.mark import Item, Mark, Verdict


def write(mark: Mark, file: IO[str]) -> None:
    """One line for each fault."""
    name = f"{mark.name}: " if mark.name else ""
    for item in mark.items:
        if item.verdict is not Verdict.EARNED:
            file.write(_line("error" if item.counts else "warning", _title(item), reason(item)))
    if mark.broken:
        file.write(_line("error", "not marked", mark.broken))
    file.write(_line("notice", "points", f"{name}{mark.points} of {mark.of} points, model {mark.model}"))


def _title(item: Item) -> str:
    return f"{item.points}/{item.of} {item.criterion.statement}" if item.counts else item.criterion.statement


def _line(kind: str, title: str, text: str) -> str:
    """A workflow command (docs.github.com, Workflow commands; actions/toolkit, command.ts has the escapes).

    >>> print(_line("error", "a: b, c", "100 %"), end="")
    ::error title=a%3A b%2C c::100 %25
    """
    return f"::{kind} title={_escaped(title).replace(':', '%3A').replace(',', '%2C')}::{_escaped(text)}\n"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
