"""docs/labs holds a page for each lab and a page of its answers: what the lab, its server and its recording say today."""

from __future__ import annotations

import functools

import pytest

import labs
from reports import handout
from reports.figures import comparison, model, sizes
from runs import catalogue, figures
from runs import page as content
from tests.conftest import ROOT, checked, recording_of

PAGES = ROOT / "docs" / "labs"
AGAIN = "write it again: ./iolab handout all --out docs/labs"


@functools.cache
def page_of(name: str) -> content.Page:
    return content.page(name, checked(name))


@functools.cache
def answers_of(name: str) -> str:
    return handout.answers(page_of(name))


@pytest.mark.parametrize("name", labs.names())
def test_a_page_is_true(name: str) -> None:
    for place, text_of in ((name, lambda name: handout.page(page_of(name))), (f"answers/{name}", answers_of)):
        path = PAGES / f"{place}.md"
        assert path.exists(), f"there is no docs/labs/{place}.md; {AGAIN}"
        assert path.read_text() == text_of(name), f"docs/labs/{place}.md is not up to date; {AGAIN}"


@pytest.mark.parametrize("name", labs.names())
def test_the_figures_are_those_of_the_recording(name: str) -> None:
    for file, drawn in handout.figures(page_of(name)):
        path = PAGES / "figures" / f"{file}.svg"
        assert path.exists(), f"there is no {path.name}; {AGAIN}"
        assert path.read_text() == model.of_run(drawn, sizes.COLUMN).svg(alone=True), f"{path.name} is not up to date; {AGAIN}"
        assert path.stat().st_size < 40_000 and f"(../figures/{file}.svg)" in answers_of(name)


def test_the_comparison_is_that_of_the_recordings_and_no_figure_is_left_over() -> None:
    drawn = [figures.drawn(source, recording_of(source.lab)) for source in figures.find("comparison").sources]
    assert (PAGES / "figures" / "comparison.svg").read_text() == comparison.of_runs(drawn, sizes.COLUMN).svg(alone=True), AGAIN
    there = {path.stem for path in (PAGES / "figures").iterdir()}
    assert there == {"comparison", *(file for name in labs.names() for file, _ in handout.figures(page_of(name)))}


def test_the_index_is_true_and_nothing_is_left_over() -> None:
    assert (PAGES / "README.md").read_text() == handout.index(catalogue.all_labs()), AGAIN
    assert {path.stem for path in PAGES.glob("*.md")} == {*labs.names(), "README"}, "docs/labs has a page of no lab"
    assert {path.stem for path in (PAGES / "answers").glob("*.md")} == set(labs.names()), "docs/labs/answers: a page of no lab"


def test_a_page_is_the_same_on_a_wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert handout.answers(page_of("epoll")) == (PAGES / "answers" / "epoll.md").read_text()


@pytest.mark.parametrize("name", labs.names())
def test_a_page_answers_none_of_its_questions(name: str) -> None:
    page = page_of(name)
    text, answers = handout.page(page), answers_of(name)
    assert page.truths.marks, "the example answers no question"
    for mark in page.truths.marks:
        assert mark.evidence not in text and mark.evidence[1:] in answers
        assert f") {mark.truth}**" in answers
    for statement in page.statements:
        assert statement.name not in text and f"**{statement.name}**" in answers
    assert page.watch not in text and page.watch in answers


def test_both_pages_in_one() -> None:
    page = page_of("epoll")
    text = handout.both(page)
    for part in ("## Predict", "## Run", "## Answers", "## What one machine showed", "## Statements checked"):
        assert text.count(part) == 1
    assert all(f"{number}. " in text for number in range(1, 1 + len(page.questions)))


def test_a_page_has_all_that_a_course_hands_out() -> None:
    text = handout.page(page_of("epoll"))
    for part in ("# lab epoll: ", "## Predict", "1. ", "./iolab lab epoll --predict", "ep_poll_callback", "man 7 epoll"):
        assert part in text
    answers = handout.answers(page_of("epoll"))
    for part in ("# lab epoll: the answers", "(../epoll.md)", "1. ", "> C33", "statements checked"):
        assert part in answers
