"""The JSON of an exercise: the list, the begun file, the hints and the solution agree with the desk."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from reports.exercise import document
from runs.exercise import desk as desks
from runs.exercise.desk import Desk
from runs.exercise.source import Language, load

EXERCISE = load("epoll", Language.PYTHON)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    begun = Desk(EXERCISE, tmp_path)
    begun.begin()
    return begun


def read(file: io.StringIO) -> dict[str, Any]:
    text = file.getvalue()
    assert text.endswith("}\n")
    found: dict[str, Any] = json.loads(text)
    return found


def test_the_list_has_every_exercise_in_both_languages(desk: Desk, tmp_path: Path) -> None:
    document.write_list(desks.everything(str(tmp_path)), file := io.StringIO())
    rows = read(file)["exercises"]
    assert {row["language"] for row in rows} == set(map(str, Language))
    (own,) = [row for row in rows if row["file"] == str(desk.path)]
    assert own["state"] == str(desk.state) and own["gaps"] == len(EXERCISE.gaps)


def test_a_begun_file_has_its_gaps_with_their_lines(desk: Desk) -> None:
    document.write_begun(desk, True, file := io.StringIO())
    begun = read(file)
    assert begun["written"] and begun["exercise"] == "epoll"
    assert [gap["number"] for gap in begun["gaps"]] == [gap.number for gap in EXERCISE.gaps]
    lines = desk.path.read_text().splitlines()
    assert all(f"GAP {gap['number']}" in lines[gap["line"] - 1] for gap in begun["gaps"])


def test_only_the_hints_that_were_taken_are_in_the_document(desk: Desk) -> None:
    gap = desk.open_gap()
    assert gap
    for number in range(2):
        document.write_hint(desk, gap, file := io.StringIO())
        hints = read(file)
        assert hints["hints"] == list(gap.hints[:number]) and hints["of"] == len(gap.hints)
        desk.take_hint()


def test_without_an_open_gap_there_is_no_hint(desk: Desk) -> None:
    document.write_hint(desk, None, file := io.StringIO())
    assert read(file)["gap"] is None and read(file)["hints"] == []


def test_the_solution_is_the_whole_text(desk: Desk) -> None:
    document.write_solution(desk, file := io.StringIO())
    assert read(file)["solution"] == EXERCISE.solution()
