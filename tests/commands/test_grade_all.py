"""What grade-all checks before it starts a server, and the seed that a second start takes from the first."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import grade_all
from commands.grade_all import _course, _seed
from probes.errors import WrongUsage
from runs.grading.whole_class import Course

COMMAND = ["./server", "{port}"]


@pytest.fixture
def students(tmp_path: Path) -> Path:
    """The folder of a class with two submissions."""
    for name in ("ada", "bob"):
        (tmp_path / "hw1" / name).mkdir(parents=True)
        (tmp_path / "hw1" / name / "server").touch()
    return tmp_path / "hw1"


def course(folder: Path, jobs: str = "", results: str = "", seed: str = "", command: list[str] = COMMAND) -> Course:
    return _course("epoll", str(folder), results, jobs, "", "", seed, command)


def test_each_folder_is_a_submission_and_the_marks_are_beside_the_class(students: Path) -> None:
    of_class = course(students, jobs="3")
    assert [entry.name for entry in of_class.entries()] == ["ada", "bob"]
    assert of_class.results == students.with_name("hw1-marks") and of_class.results.is_dir()
    assert of_class.jobs == 3


@pytest.mark.parametrize(
    ("jobs", "command", "words"),
    [("0", COMMAND, "out of range"), ("33", COMMAND, "out of range"), ("some", COMMAND, "not a number"), ("", [], "no server")],
)
def test_wrong_usage_is_refused_before_a_server_starts(students: Path, jobs: str, command: list[str], words: str) -> None:
    with pytest.raises(WrongUsage, match=words):
        course(students, jobs=jobs, command=command)


def test_a_class_without_a_submission_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(WrongUsage, match="there is no submission in"):
        course(tmp_path / "empty")
    with pytest.raises(WrongUsage, match="there is no folder"):
        course(tmp_path / "missing")


def test_a_second_start_has_the_seed_of_the_first(tmp_path: Path) -> None:
    first = _seed(tmp_path, "")
    assert first and _seed(tmp_path, "") == first
    assert _seed(tmp_path, "7") == "7" == _seed(tmp_path, "")


def test_the_help_names_each_option() -> None:
    assert {"model", "dir", "results", "jobs", "rubric", "json", "out"} <= set(grade_all.HELP)
