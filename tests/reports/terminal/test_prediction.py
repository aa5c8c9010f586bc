"""The questions and the marks, on the terminal and as JSON: no answer is shown before its question, and each line fits."""

from __future__ import annotations

import dataclasses
import functools
import io
import json
from collections.abc import Callable

import pytest

import labs
from probes.context import Answers
from probes.recording import Recording
from reports import document
from reports.terminal import page, prediction
from reports.terminal.screen import screen
from runs import lab as running
from runs import predict
from runs.report import Report, report
from tests.conftest import checked, measured, recording_of

MARKS = {"id": str, "question": str, "options": dict, "truth": str, "right": bool, "evidence": str}


def asked(lab: str, lines: list[str], width: int = 80) -> tuple[dict[str, str], str]:
    """What is answered to the questions of a lab, and all that was printed."""
    file, waiting = io.StringIO(), iter(lines)
    out = screen(file, width)
    prediction.introduce(lab, labs.find(lab).question, "some traffic", out)
    said = prediction.ask(predict.questions(lab, 1), lambda: next(waiting), out)
    return said, file.getvalue()


def shown(recording: Recording, width: int, encoding: str = "utf-8") -> str:
    file = io.TextIOWrapper(raw := io.BytesIO(), encoding=encoding)
    page.show(report(running.measure_and_check(recording)), screen(file, width))
    file.flush()
    return raw.getvalue().decode(encoding)


def answered(recording: Recording, lab: str) -> Recording:
    """With the first question answered rightly, the second wrongly, and the others not at all."""
    marks = predict.against(measured(lab), predict.questions(lab, 1), {}, 1).marks
    wrong = next(option for option in marks[1].question.options if option != marks[1].truth)
    said = {marks[0].question.id: marks[0].truth, marks[1].question.id: wrong}
    return recording.with_context(prediction=Answers(1, said))


@pytest.mark.parametrize("lab", labs.names())
@pytest.mark.parametrize("width", [80, 140])
def test_questions_fit_and_tell_nothing(lab: str, width: int, recorded: Callable[[str], Recording]) -> None:
    said, text = asked(lab, ["A\n"] * predict.MOST, width)
    questions = predict.questions(lab, 1)
    assert said == {question.id: question.options[0] for question in questions}
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    assert labs.find(lab).watch not in " ".join(text.split())
    for mark in predict.against(measured(lab), questions, {}, 1).marks:
        assert mark.evidence not in " ".join(text.split())
    for question in questions:
        assert all(f"  {letter}  {text_}" in text for letter, text_ in predict.lettered(question).items()), "one line each"


def test_what_is_no_letter_is_asked_again_and_nothing_is_no_answer() -> None:
    said, text = asked("epoll", ["x\n", "ab\n", "b\n", "\n", "\n", "\n", "\n"])
    assert list(said) == ["calls"] and text.count("please type one of a, b, c") == 2


def test_the_end_of_the_input_is_leaving() -> None:
    with pytest.raises(KeyboardInterrupt):
        asked("epoll", ["a\n", ""])


@functools.cache
def marked(lab: str) -> Report:
    """The report with two of the lab's questions answered."""
    return report(running.check(dataclasses.replace(measured(lab), context=answered(recording_of(lab), lab).context)))


@pytest.mark.parametrize("lab", labs.names())
@pytest.mark.parametrize("width", [80, 140])
def test_marks_fit_and_quote_the_evidence(lab: str, width: int) -> None:
    page.show(marked(lab), screen(file := io.StringIO(), width))
    text = file.getvalue()
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    part = text.split("your answers, marked")[1].split(" points")[0]
    assert part.count("✓") == 1 and part.count("✗") == part.count("evidence") - 1 >= 2
    assert part.count("measured   ") == part.count("✗")
    assert f"1 of {part.count('evidence')} points" in text and "not answered; seed 1" in text


def test_marks_are_words_where_only_ascii_can_be_shown(recorded: Callable[[str], Recording]) -> None:
    text = shown(answered(recorded("epoll"), "epoll"), 80, "ascii")
    assert text.isascii() and "right  question" in text and "wrong  question" in text


def test_what_could_not_be_marked_is_said(recorded: Callable[[str], Recording]) -> None:
    recording = answered(recorded("epoll"), "epoll")
    recording.losses["RING_FULL"] = 12
    text = " ".join(shown(recording, 80).split())
    assert "left out: How many system calls" in text and "12 events were lost" in text and "0 of 0 points" in text


def test_the_document_has_every_mark(recorded: Callable[[str], Recording]) -> None:
    result = running.measure_and_check(answered(recorded("silent_client"), "silent_client"))
    found = json.loads(json.dumps(document.document(report(result))))["prediction"]
    assert (found["seed"], found["points"], found["of"]) == (1, 1, len(found["questions"]))
    for question in found["questions"]:
        for key, kind in MARKS.items():
            assert isinstance(question[key], kind), key
        assert question["truth"] in question["options"].values()
        assert question["answer"] is None or question["answer"] in question["options"].values()
        assert question["right"] == (question["answer"] == question["truth"])
    assert found["left_out"] == []


def test_nobody_asked_nothing_said(recorded: Callable[[str], Recording]) -> None:
    assert document.document(report(checked("epoll")))["prediction"] is None
    assert "your answers" not in shown(recorded("epoll"), 80)
