"""What a student has done: one small JSON file beside the student's files, for all exercises of the folder."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from probes import files, shapes
from probes.errors import WrongUsage
from runs.exercise.source import Exercise

NAME = "progress.json"


@dataclass(frozen=True)
class Record:
    """One exercise in one language."""

    model: str
    language: str
    hints: tuple[int, ...] = ()  # how many hints of each gap the student has seen, by the gap's number from 1
    open: tuple[int, ...] = ()  # the gaps in which the last check found its first fault, or which it suspects
    passed: str = ""  # SHA-256 of the file that passed the check
    done: tuple[str, ...] = ()  # of each gap the SHA-256 of the code that a check found done; "" for none

    def seen(self, gap: int) -> int:
        """How many hints of this gap the student has seen."""
        return self.hints[gap - 1] if gap <= len(self.hints) else 0

    def with_hint(self, gap: int) -> Record:
        """The same with one more hint of this gap."""
        hints = [self.seen(number) for number in range(1, max(gap, len(self.hints)) + 1)]
        hints[gap - 1] += 1
        return dataclasses.replace(self, hints=tuple(hints))


@dataclass(frozen=True)
class Progress:
    """The records of a folder."""

    exercises: tuple[Record, ...] = ()

    def of(self, exercise: Exercise) -> Record:
        """The record of an exercise; an empty one where there is none."""
        found = (each for each in self.exercises if (each.model, each.language) == (exercise.model, exercise.language))
        return next(found, Record(exercise.model, str(exercise.language)))

    def having(self, record: Record) -> Progress:
        """The same with this record in the place of the record of the same exercise."""
        same = (record.model, record.language)
        others = [each for each in self.exercises if (each.model, each.language) != same]
        return Progress(tuple(sorted([*others, record], key=lambda each: (each.model, each.language))))


def load(folder: Path) -> Progress:
    """The progress of a folder. Raises WrongUsage where the file can't be read."""
    path = folder / NAME
    try:
        progress: Progress = shapes.read(Progress, json.loads(path.read_text(encoding="utf-8")), "progress")
    except FileNotFoundError:
        return Progress()
    except (OSError, ValueError) as error:
        raise WrongUsage(f"can't read {path}: {error}", "remove the file: the hints start again from the first") from error
    return progress


def save(folder: Path, record: Record) -> None:
    """Puts the record into the file of the folder. Raises WrongUsage where it can't be written."""
    with files.whole(str(folder / NAME)) as file:
        json.dump(load(folder).having(record), file, indent=2, default=shapes.plain)
        file.write("\n")


def digest(text: str) -> str:
    """What identifies a version of a student's file, or of the code in a gap."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
