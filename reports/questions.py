"""The questions of a lab as one JSON document, for scripts and classes (--questions), and the marks in a run's document."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import IO, Any

from runs import predict
from runs.predict import Prediction, Question

SCHEMA_VERSION = 1


def write(lab: str, seed: int, asked: Sequence[Question], file: IO[str]) -> None:
    """The questions with their options by letter."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "lab": lab,
        "seed": seed,
        "read_first": predict.read_first(lab),
        "questions": [_question(question) for question in asked],
    }
    json.dump(document, file, indent=1)
    file.write("\n")


def marks(found: Prediction | None) -> dict[str, Any] | None:
    """The marks as plain JSON data; None if the user was not asked."""
    if found is None:
        return None
    return {
        "seed": found.seed,
        "points": found.points,
        "of": len(found.marks),
        "questions": [
            _question(mark.question)
            | {"answer": mark.answer, "truth": mark.truth, "right": mark.right, "evidence": mark.evidence}
            for mark in found.marks
        ],
        "left_out": [{"id": question.id, "question": question.text, "reason": reason} for question, reason in found.left_out],
    }


def _question(question: Question) -> dict[str, Any]:
    return {"id": question.id, "question": question.text, "options": predict.lettered(question)}
