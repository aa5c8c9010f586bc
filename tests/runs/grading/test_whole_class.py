"""A class: kept marks last until something changes, and one submission's failure takes no mark from the others."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from findings.threads.serving import Servers
from runs.grading import marking, rubric, whole_class
from runs.grading.criteria import BASIC
from runs.grading.mark import Item, Mark, Verdict
from runs.grading.session import Examined
from runs.grading.whole_class import Common, Course, common_faults
from tests.conftest import measured

_ZERO = "iolab itself failed: ZeroDivisionError: division by zero"


@pytest.fixture
def course(tmp_path: Path) -> Course:
    """A class of two."""
    for name in ("ada", "bob"):
        (tmp_path / "class" / name).mkdir(parents=True)
        (tmp_path / "class" / name / "server.py").write_text(name)
    (tmp_path / "class" / ".git").mkdir()
    return Course(
        rubric.default("epoll"), "echo", "s", ("python3", "server.py"), tmp_path / "class", tmp_path / "marks", hidden=("/r",)
    )


def mark(name: str, verdict: Verdict = Verdict.LOST) -> Mark:
    return Mark(name, "epoll", "echo", "s", (Item(BASIC["reset"], verdict, 5, "seen"),))


def test_each_folder_is_a_submission_that_finds_the_others_empty(course: Course) -> None:
    entries = course.entries()
    assert [entry.name for entry in entries] == ["ada", "bob"]
    assert entries[0].launch.strict
    assert entries[0].launch.hidden == (str(course.folder), str(course.results), "/r")


def test_a_mark_is_kept_until_something_changes(course: Course) -> None:
    ada, bob = course.entries()
    assert course.kept(ada) is None
    course.keep(ada, mark("ada"))
    assert course.kept(ada) == mark("ada") and course.kept(bob) is None
    for changed in (
        dataclasses.replace(course, seed="t"),
        dataclasses.replace(course, command=("python3",)),
        dataclasses.replace(course, protocol="upper"),
        dataclasses.replace(course, rubric=dataclasses.replace(course.rubric, clients=61)),
    ):
        assert changed.kept(ada) is None
    (course.folder / "ada" / "server.py").write_text("changed")
    assert course.kept(ada) is None


def test_a_damaged_mark_is_made_again(course: Course) -> None:
    ada, _bob = course.entries()
    course.keep(ada, mark("ada"))
    (course.results / "marks" / "ada.json").write_text('{"key": 3')
    assert course.kept(ada) is None


def test_a_submission_that_cannot_be_judged_gets_a_mark_that_says_so(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marking, "mark", lambda *_arguments: 1 / 0)
    broken = whole_class._marked(course, Examined(course.entries()[0], 100), Servers(measured("epoll")))
    assert (broken.name, broken.status, broken.broken) == ("ada", "inconclusive", _ZERO)


def test_common_faults_come_first() -> None:
    marks = [mark("ada"), mark("bob"), mark("eve", Verdict.EARNED), mark("kim", Verdict.NOT_SHOWN)]
    assert common_faults(marks) == [Common("reset", lost=2, judged=3)]
