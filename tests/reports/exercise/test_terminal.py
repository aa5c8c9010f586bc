"""The screens of an exercise at two widths: the first open gap in full, the others in a line each, and what to do next."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from reports.exercise import document, terminal
from runs.exercise import desk as desks
from runs.exercise.assessment import Assessment
from runs.exercise.desk import Desk
from runs.exercise.source import Language, load, written
from runs.grading.criteria import BASIC
from runs.grading.mark import Item, Mark, Verdict

EXERCISE = load("epoll", Language.PYTHON)


def assessed(text: str, *lost: str, compiler: str = "") -> Assessment:
    items = tuple(
        Item(each, Verdict.LOST if each.id in lost else Verdict.EARNED, 1, f"seen of {each.id}", each.remedy, each.lab)
        for each in BASIC.values()
    )
    mark = None if compiler else Mark("", "epoll", "echo", "7", items, seconds=1.5)
    return Assessment(EXERCISE, "exercises/epoll_server.py", written(EXERCISE, text), mark, compiler)


def shown(assessment: Assessment, width: int = 80) -> str:
    file = io.StringIO()
    terminal.write_check(assessment, "exercises", file, width)
    return file.getvalue()


@pytest.mark.parametrize("width", [60, 80, 132])
def test_no_line_is_longer_than_the_screen(width: int, tmp_path: Path) -> None:
    desk = Desk(EXERCISE, tmp_path)
    desk.begin()
    desk.take_hint()
    file = io.StringIO()
    terminal.write_begun(desk, True, file, width)
    terminal.write_hint(desk, desk.open_gap(), file, width)
    terminal.write_list(desks.everything(str(tmp_path)), file, width)
    text = file.getvalue() + shown(assessed(EXERCISE.skeleton(), "protocol", "half_close"), width)
    assert max(map(len, text.splitlines())) <= width


def test_a_skeleton_shows_the_first_gap_with_what_was_seen() -> None:
    text = shown(assessed(EXERCISE.skeleton(), "protocol", "half_close"))
    assert "0 of 5 gaps are done" in text and "seen   seen of protocol" in text
    assert "seen of half_close" not in text and "not met: a client that ends its own direction" in text
    assert "1  work on gap 1 (exercises/epoll_server.py, line 26)" in text


def test_a_fault_in_a_gap_with_code_has_its_remedy() -> None:
    text = shown(assessed(EXERCISE.solution(), "half_close"))
    assert "4 of 5 gaps are done" in text and "FAULT       gap 4" in text
    assert "remedy when recv returns 0" in text and "invoke lab delivery" in text
    assert "work on gap 4" in text


def test_a_fault_that_no_gap_names_is_shown_in_full() -> None:
    text = shown(assessed(EXERCISE.solution(), "ends_on_sigterm"))
    assert "the gaps are done, but other checks are not met" in text and "seen of ends_on_sigterm" in text


def test_a_server_that_does_not_start_is_named_before_the_gaps_matter() -> None:
    text = shown(assessed(EXERCISE.skeleton(), "starts"))
    assert "the server does not start" in text and "seen   seen of starts" in text


def test_a_file_that_passes_opens_the_solution() -> None:
    text = shown(assessed(EXERCISE.solution()))
    assert "epoll, Python: passed" in text and "invoke exercise epoll --solution" in text


def test_the_compiler_s_words_are_shown() -> None:
    text = shown(assessed(EXERCISE.skeleton(), compiler="epoll_server.c:3: error: no"))
    assert "does not compile" in text and "epoll_server.c:3: error: no" in text


def test_the_document_has_the_gaps_and_the_mark() -> None:
    file = io.StringIO()
    document.write_check(assessed(EXERCISE.skeleton(), "protocol", "reset"), file)
    found = json.loads(file.getvalue())
    assert (found["verdict"], found["open"], found["following_faults"]) == ("fail", 1, ["reset"])
    assert found["gaps"][0]["faults"] == ["protocol"] and found["gaps"][0]["state"] == "not begun"
    assert len(found["mark"]["criteria"]) == len(BASIC)
