"""The answers before a lab runs: from a file, or an error that says how to give them."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from commands.predicting import predicted
from probes.errors import WrongUsage
from runs import predict


def test_without_the_options_no_question_is_asked() -> None:
    assert predicted("epoll", "", 1, predict=False, answers="") is None


def test_answers_are_read_from_a_file(tmp_path: Path) -> None:
    asked = predict.questions("epoll", 1)
    file = tmp_path / "answers.json"
    file.write_text(json.dumps({asked[0].id: "a"}))
    written = predicted("epoll", "", 1, predict=False, answers=str(file))
    assert written and written.seed == 1
    assert predict.answers(asked, {asked[0].id: "a"}) == written.answers


def test_a_trace_has_no_questions() -> None:
    with pytest.raises(WrongUsage, match="only labs have questions"):
        predicted(None, "", 1, predict=True, answers="")


def test_questions_need_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("a\n"))
    with pytest.raises(WrongUsage, match="needs a terminal") as error:
        predicted("epoll", "", 1, predict=True, answers="")
    assert "lab epoll --questions" in str(error.value)
