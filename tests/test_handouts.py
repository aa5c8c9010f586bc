"""docs/labs holds a page for each lab, and each page is what the lab's own file, its server and its recording say today."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import labs
from probes.recording import Recording
from reports import handout
from runs import catalogue
from runs import page as content
from tests.conftest import ROOT, checked

PAGES = ROOT / "docs" / "labs"
AGAIN = "write it again: ./iolab handout all --out docs/labs"


def written(name: str, recorded: Callable[[str], Recording]) -> str:
    return handout.page(content.page(name, checked(name)))


@pytest.mark.parametrize("name", labs.names())
def test_a_page_is_true(name: str, recorded: Callable[[str], Recording]) -> None:
    path = PAGES / f"{name}.md"
    assert path.exists(), f"there is no docs/labs/{name}.md; {AGAIN}"
    assert path.read_text() == written(name, recorded), f"docs/labs/{name}.md is not up to date; {AGAIN}"


def test_the_index_is_true_and_nothing_is_left_over() -> None:
    assert (PAGES / "README.md").read_text() == handout.index(catalogue.all_labs()), AGAIN
    assert {one.stem for one in PAGES.glob("*.md")} == {*labs.names(), "README"}, "docs/labs has a page of no lab"


def test_a_page_is_the_same_on_a_wide_terminal(recorded: Callable[[str], Recording], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert written("epoll", recorded) == (PAGES / "epoll.md").read_text()


def test_a_page_has_all_that_a_course_hands_out(recorded: Callable[[str], Recording]) -> None:
    text = written("epoll", recorded)
    for part in (
        "# lab epoll: ",
        "## Predict",
        "1. ",
        "./iolab lab epoll --predict",
        "ep_poll_callback",
        "> C33",
        "man 7 epoll",
    ):
        assert part in text
