"""A mark as Gradescope's results.json: one test for each criterion (gradescope-autograders.readthedocs.io, specs)."""

from __future__ import annotations

import json
from typing import IO, Any

from reports.grade.words import reason
from runs.grading.mark import Item, Mark


def document(mark: Mark) -> dict[str, Any]:
    """The document. A criterion that this run can't show is left out of the sum: its maximum is 0."""
    return {
        "execution_time": round(mark.seconds, 3),
        "output": _output(mark),
        "output_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": [_test(number, item) for number, item in enumerate(mark.items, 1)],
        "extra_data": {"model": mark.model, "seed": mark.seed, "verdict": mark.status},
        **({} if mark.items else {"score": 0}),
    }


def _output(mark: Mark) -> str:
    first = f"{mark.points} of {mark.of} points, model {mark.model}, protocol {mark.protocol}"
    lines = [first, *([f"not marked: {mark.broken}"] if mark.broken else []), *mark.notes]
    return "\n".join(lines)


def _test(number: int, item: Item) -> dict[str, Any]:
    return {
        "number": str(number),
        "name": item.criterion.statement,
        "score": item.points,
        "max_score": item.of if item.counts else 0,
        "status": "passed" if item.points == item.of or not item.counts else "failed",
        "output": reason(item),
        "tags": [str(item.criterion.kind), item.criterion.id],
        "visibility": "visible",
    }


def write(mark: Mark, file: IO[str]) -> None:
    """The document as text."""
    json.dump(document(mark), file, indent=2, ensure_ascii=False)
    file.write("\n")
