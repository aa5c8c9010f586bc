"""The options of trace --follow, and where its lines go."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from commands import following
from commands.following import Choice, lines
from commands.presenting import view
from probes.errors import WrongUsage


@pytest.mark.parametrize(
    ("choice", "complaint"),
    [
        (Choice(errors=True), "--errors needs --follow"),
        (Choice(slower_than="1ms"), "--slower-than needs --follow"),
        (Choice(quiet=True), "--quiet needs --follow"),
        (Choice(follow=True, slower_than="5"), "--slower-than 5 has no unit of time"),
        (Choice(follow=True, slower_than="-1ms"), "--slower-than -1ms has no unit of time"),
    ],
)
def test_a_choice_that_says_nothing_is_refused(choice: Choice, complaint: str) -> None:
    with pytest.raises(WrongUsage, match=complaint):
        choice.check(json=False, out="")


def test_a_document_and_the_lines_need_two_outputs(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="the report of --json needs a file"):
        Choice(follow=True).check(json=True, out="")
    Choice(follow=True).check(json=True, out=str(tmp_path / "document"))
    Choice(follow=True, errors=True, slower_than="1.5s", quiet=True).check(json=False, out="")
    following.NOTHING.check(json=True, out="")


def test_without_follow_nothing_is_written() -> None:
    with lines(following.NOTHING, view(), "") as (writer, stream):
        assert writer is None and stream is sys.stderr


def test_the_lines_choose_what_the_options_name(tmp_path: Path) -> None:
    out = tmp_path / "lines"
    choice = Choice(follow=True, errors=True, slower_than="200us")
    with lines(choice, view(calls="recv*", fd="5"), str(out)) as (writer, stream):
        assert (writer.wanted.errors, writer.wanted.slower_than) == (True, 200_000)
        assert (writer.wanted.part.calls, writer.wanted.part.fds) == (("recv*",), (5,))
        stream.write("a line\n")
        assert out.read_text() == "a line\n"  # while the program still runs
