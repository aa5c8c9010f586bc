"""What `./iolab exercise --json` writes: one document for the list, the state, a check, and the hints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import IO, Any

from probes import VERSION
from reports.grade import document as grades
from runs.exercise.assessment import Assessment
from runs.exercise.desk import Desk
from runs.exercise.source import Exercise, Gap, Written

SCHEMA = 1


def _head(exercise: Exercise, path: str) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA,
        "iolab": VERSION,
        "exercise": exercise.model,
        "language": str(exercise.language),
        "file": path,
    }


def _gap(written: Written) -> dict[str, Any]:
    gap = written.gap
    return {
        "number": gap.number,
        "task": gap.task,
        "line": written.line or None,
        "begun": written.begun,
        "checks": list(gap.checks),
    }


def write_list(desks: Sequence[Desk], file: IO[str]) -> None:
    """Every exercise with its state."""
    rows = [
        {
            "exercise": desk.exercise.model,
            "language": str(desk.exercise.language),
            "file": str(desk.path),
            "state": str(desk.state),
            "gaps": len(desk.exercise.gaps),
        }
        for desk in desks
    ]
    _write({"schema_version": SCHEMA, "iolab": VERSION, "exercises": rows}, file)


def write_begun(desk: Desk, new: bool, file: IO[str]) -> None:
    """The student's file and its gaps. `written`: this command wrote it."""
    state = {
        "state": str(desk.state),
        "written": new,
        "cautions": list(desk.cautions),
        "gaps": [_gap(each) for each in desk.written()],
    }
    _write(_head(desk.exercise, str(desk.path)) | state, file)


def write_check(assessment: Assessment, file: IO[str]) -> None:
    """The gaps with their states and faults, and the whole mark."""
    gaps = [
        _gap(judged.written)
        | {
            "state": str(judged.state),
            "faults": [item.criterion.id for item in judged.faults],
            "mistakes": [mistake.id for mistake in judged.mistakes],
        }
        for judged in assessment.gaps
    ]
    words = {
        "verdict": assessment.status,
        "open": assessment.open.gap.number if assessment.open else None,
        "gaps": gaps,
        "other_faults": [item.criterion.id for item in assessment.others],
        "following_faults": [item.criterion.id for item in assessment.following],
        "not_tried": assessment.not_tried,
        "trials_left": assessment.trials_left,
        "compiler": assessment.compiler,
        "mark": grades.document(assessment.mark) if assessment.mark else None,
    }
    _write(_head(assessment.exercise, assessment.path) | words, file)


def write_hint(desk: Desk, gap: Gap | None, file: IO[str]) -> None:
    """The hints of the open gap that the student has seen."""
    seen = desk.record.seen(gap.number) if gap else 0
    words = {
        "gap": gap.number if gap else None,
        "hints": list(gap.hints[:seen]) if gap else [],
        "of": len(gap.hints) if gap else 0,
    }
    _write(_head(desk.exercise, str(desk.path)) | words, file)


def write_solution(desk: Desk, file: IO[str]) -> None:
    """The whole solution as a text."""
    _write(_head(desk.exercise, str(desk.path)) | {"solution": desk.exercise.solution()}, file)


def _write(words: dict[str, Any], file: IO[str]) -> None:
    json.dump(words, file, indent=2, ensure_ascii=False)
    file.write("\n")
