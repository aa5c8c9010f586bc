"""A student's folder: the skeleton, the state of an exercise, its hints, and how its server is started."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from probes.errors import CannotTrace, WrongUsage
from runs.exercise import desk as desks
from runs.exercise import source
from runs.exercise.assessment import Assessment
from runs.exercise.desk import Desk, DoesNotCompile, State
from runs.exercise.source import Language
from runs.grading.criteria import BASIC
from runs.grading.mark import Item, Mark, Verdict
from tests.conftest import tool


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return desks.find("epoll", "", str(tmp_path / "mine"))


def test_an_exercise_is_not_begun_then_begun_then_passed(desk: Desk) -> None:
    assert desk.state is State.NOT_BEGUN
    with pytest.raises(WrongUsage, match="invoke exercise epoll writes it"):
        desk.text()
    desk.begin()
    assert (desk.state, desk.text()) == (State.BEGUN, desk.exercise.skeleton())
    desk.note(desk.text(), checked(desk))
    assert str(desk.state) == "passed"


def test_a_new_skeleton_keeps_the_old_file_and_forgets_the_hints(desk: Desk) -> None:
    desk.begin()
    desk.path.write_text("my work\n")
    desk.take_hint()
    desk.begin()
    assert desk.text() == desk.exercise.skeleton()
    assert Path(f"{desk.path}.old").read_text() == "my work\n"
    assert desk.record.hints == ()


def checked(desk: Desk, *lost: str) -> Assessment:
    """A check of the student's file that lost these criteria."""
    items = tuple(Item(each, Verdict.LOST if each.id in lost else Verdict.EARNED, 1, "") for each in BASIC.values())
    return Assessment(desk.exercise, str(desk.path), desk.written(), Mark("", "epoll", "echo", "1", items))


def test_code_that_was_done_is_known_until_it_changes(desk: Desk) -> None:
    desk.begin()
    solved(desk, 1, 2)
    assert desk.settled(desk.written()) == frozenset()
    desk.note(desk.text(), checked(desk, "half_close"))
    assert desk.settled(desk.written()) == {1, 2}
    desk.path.write_text(desk.text().replace("ready = epoll.poll()", "ready = epoll.poll(1)"))
    assert desk.settled(desk.written()) == {1}


def solved(desk: Desk, *gaps: int) -> None:
    """Writes a student's file that holds the solutions of these gaps."""
    parts = [
        dataclasses.replace(part, stub=part.solution) if isinstance(part, source.Gap) and part.number in gaps else part
        for part in desk.exercise.parts
    ]
    desk.path.write_text(dataclasses.replace(desk.exercise, parts=tuple(parts)).skeleton())


def test_hints_belong_to_the_first_open_gap(desk: Desk) -> None:
    desk.begin()
    for seen in (1, 2, 3, 3):
        gap = desk.take_hint()
        assert gap and (gap.number, desk.record.seen(1)) == (1, seen)
    solved(desk, 1, 2)
    gap = desk.take_hint()
    assert gap and (gap.number, desk.record.hints) == (3, (3, 0, 1))


def test_a_gap_in_which_the_last_check_found_a_fault_is_open(desk: Desk) -> None:
    desk.begin()
    solved(desk, 1, 2, 3, 4, 5)
    assert desk.open_gap() is None and desk.take_hint() is None
    desk.note(desk.text(), checked(desk, "half_close"))
    gap = desk.open_gap()
    assert gap and gap.number == 4


def test_the_language_is_that_of_the_students_only_file(desk: Desk, tmp_path: Path) -> None:
    folder = str(tmp_path / "mine")
    desks.find("epoll", "c", folder).begin()
    assert desks.find("epoll", "", folder).exercise.language is Language.C
    desk.begin()
    assert desks.find("epoll", "", folder).exercise.language is Language.PYTHON


def test_hints_go_on_to_the_next_gap_that_a_check_suspects(desk: Desk) -> None:
    desk.begin()
    solved(desk, 1, 2, 3, 4, 5)
    desk.note(desk.text(), checked(desk, "protocol"))
    assert desk.record.open == (1, 3)
    assert [gap.number for gap in (desk.take_hint() for _ in range(4)) if gap] == [1, 1, 1, 3]


@pytest.mark.parametrize(
    ("model", "language", "words"),
    [
        ("epol", "", "did you mean epoll?"),
        ("epoll", "cobol", "--lang python or --lang c"),
        ("asyncio", "c", "exercise asyncio is not offered in C"),
    ],
)
def test_what_is_not_offered_is_named(model: str, language: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(WrongUsage) as refused:
        desks.find(model, language, str(tmp_path))
    assert words in str(refused.value)


def test_a_model_without_functions_in_python_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "io_uring.c").write_text(source.FOLDER.joinpath("epoll.c").read_text())
    monkeypatch.setattr(source, "FOLDER", tmp_path)
    with pytest.raises(WrongUsage, match=r"not offered in Python: Python's library has no io_uring"):
        desks.find("io_uring", "", str(tmp_path))


def test_a_server_in_python_is_started_by_its_path(desk: Desk) -> None:
    desk.begin()
    with desk.command() as command:
        assert command[-2:] == (str(desk.path), "{port}")


def test_a_server_in_c_is_compiled_outside_the_students_folder(tmp_path: Path) -> None:
    tool("cc", "gcc libc6-dev")
    desk = desks.find("epoll", "c", str(tmp_path))
    desk.begin()
    with desk.command() as command:
        program = Path(command[0])
        assert os.access(program, os.X_OK) and program.parent != tmp_path
    assert not program.exists()
    desk.path.write_text("int main(void) { return missing; }\n")
    with pytest.raises(DoesNotCompile, match="missing"), desk.command():
        pass


def test_without_a_compiler_the_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = desks.find("epoll", "c", str(tmp_path))
    desk.begin()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotTrace, match="apt-get install gcc libc6-dev"), desk.command():
        pass
    assert "apt-get install gcc libc6-dev" in desk.cautions[0]
    monkeypatch.setenv("IOLAB_CALLED", "docker run --rm -it --privileged iolab")
    unmounted, compiler = desk.cautions
    assert '-v "$PWD:/out"' in unmounted and "| docker build -t iolab-c -" in compiler
    monkeypatch.setenv("IOLAB_CALLED", 'docker run --rm -it --privileged -v "$PWD:/out" iolab')
    assert desk.cautions == (compiler,)
