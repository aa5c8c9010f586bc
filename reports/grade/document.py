"""A mark as one JSON document."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import IO, Any

from probes import VERSION
from runs.grading.mark import Item, Mark, Mistake
from runs.grading.whole_class import common_faults

SCHEMA = 1


def document(mark: Mark) -> dict[str, Any]:
    """The document: `points` of `of`, and one entry of `criteria` for each line of the rubric."""
    return {
        "schema_version": SCHEMA,
        "iolab": VERSION,
        "name": mark.name,
        "model": mark.model,
        "protocol": mark.protocol,
        "seed": mark.seed,
        "command": list(mark.command),
        "verdict": mark.status,
        "points": mark.points,
        "of": mark.of,
        "seconds": round(mark.seconds, 3),
        "broken": mark.broken,
        "notes": list(mark.notes),
        "output": mark.output,
        "mistakes": [_mistake(mistake) for mistake in mark.mistakes],
        "criteria": [_criterion(item) for item in mark.items],
    }


def write_class(marks: Sequence[Mark], file: IO[str]) -> None:
    """The marks of a class, with how many submissions lost each criterion."""
    rows = [{"id": row.id, "lost": row.lost, "judged": row.judged} for row in common_faults(marks)]
    words = {"schema_version": SCHEMA, "iolab": VERSION, "marks": [document(mark) for mark in marks], "statistics": rows}
    json.dump(words, file, indent=2, ensure_ascii=False)
    file.write("\n")


def _mistake(mistake: Mistake) -> dict[str, Any]:
    return {
        "id": mistake.id,
        "statement": mistake.statement,
        "seen": mistake.seen,
        "remedy": mistake.remedy,
        "lab": mistake.lab,
        "moment": mistake.moment,
    }


def _criterion(item: Item) -> dict[str, Any]:
    return {
        "id": item.criterion.id,
        "statement": item.criterion.statement,
        "seen_by": str(item.criterion.kind),
        "verdict": str(item.verdict),
        "points": item.points,
        "of": item.of,
        "evidence": item.seen,
        "kernel": list(item.diagnosed),
        "moment": item.moment,
        "remedy": item.remedy,
        "lab": item.lab,
    }


def write(mark: Mark, file: IO[str]) -> None:
    """The document as text."""
    json.dump(document(mark), file, indent=2, ensure_ascii=False)
    file.write("\n")
