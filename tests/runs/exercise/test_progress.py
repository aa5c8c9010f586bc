"""The student's progress: one readable file for all exercises of a folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from probes.errors import WrongUsage
from runs.exercise import progress
from runs.exercise.progress import NAME, Progress, Record
from runs.exercise.source import Language, load


def test_hints_are_counted_for_each_gap() -> None:
    record = Record("epoll", "python").with_hint(3).with_hint(3).with_hint(1)
    assert record.hints == (1, 0, 2)
    assert [record.seen(gap) for gap in (1, 2, 3, 4)] == [1, 0, 2, 0]


def test_a_record_replaces_that_of_the_same_exercise_only(tmp_path: Path) -> None:
    progress.save(tmp_path, Record("epoll", "python", open=(2,)))
    progress.save(tmp_path, Record("blocking", "c"))
    progress.save(tmp_path, Record("epoll", "python", open=(3, 4)))
    kept = progress.load(tmp_path)
    assert kept == Progress((Record("blocking", "c"), Record("epoll", "python", open=(3, 4))))
    assert kept.of(load("epoll", Language.PYTHON)).open == (3, 4)
    assert kept.of(load("epoll", Language.C)) == Record("epoll", "c")
    assert json.loads((tmp_path / NAME).read_text())["exercises"][0]["model"] == "blocking"


@pytest.mark.parametrize("text", ["no JSON", '{"exercises": [{"model": 3}]}', "[]"])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text)
    with pytest.raises(WrongUsage, match=r"progress\.json"):
        progress.load(tmp_path)
