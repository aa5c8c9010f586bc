"""What programs put into names reaches no terminal as a command: every page shows control characters as escapes."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from typing import Any

import pytest

from probes.context import TraceRun
from probes.measure.result import Check, Result, Verdict
from probes.recording import Recording
from reports.terminal import page, prediction
from reports.terminal.screen import Column, Screen, figures, printing
from runs import predict
from runs.report import report
from tests.conftest import checked

HOSTILE = "a\x1b[2J\x1b]0;title\x07\x9b31m\r\nb"


def hostile(value: Any) -> Any:
    """The same data with a hostile text behind each of its own."""
    if isinstance(value, str) and type(value) is str:
        return value + HOSTILE
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **{name: hostile(each) for name, each in fields.items()})
    if isinstance(value, tuple):
        return tuple(map(hostile, value))
    return value


def attacked(result: Result) -> Result:
    """A result whose names are the work of a program: threads, wakers, stacks, probes, evidence, the command line."""
    return dataclasses.replace(
        result,
        rows=hostile(result.rows),
        threads=hostile(result.threads),
        probes=tuple(dataclasses.replace(probe, reason=probe.reason + HOSTILE) for probe in result.probes),
        calls=tuple(dataclasses.replace(call, sleeps=hostile(call.sleeps)) for call in result.calls),
        checks=(Check("a check" + HOSTILE, ("C01",), Verdict.FAILED, HOSTILE),),
        machine=dataclasses.replace(result.machine, kernel=HOSTILE),
        context=TraceRun(command=("sh", HOSTILE)) if isinstance(result.context, TraceRun) else result.context,
    )


@pytest.mark.parametrize("name", ["trace", "blocking", "io_uring", "epoll"])
@pytest.mark.parametrize("width", [60, 160])
def test_no_control_character_of_a_program_reaches_a_pipe(name: str, width: int, recorded: Callable[[str], Recording]) -> None:
    page.write(report(attacked(checked(name))), file := io.StringIO(), True, width)
    text = file.getvalue()
    assert all(line.isprintable() for line in text.split("\n"))
    assert r"\x1b[2J" in text and r"\x9b31m" in "".join(text.split())


def test_on_a_terminal_only_our_own_colours_are_control_characters(recorded: Callable[[str], Recording]) -> None:
    file = io.StringIO()
    out = Screen(file=file, force_terminal=True, width=100, highlight=False, color_system="standard")
    page.show(report(attacked(checked("trace"))), out, True)
    text = file.getvalue()
    assert "\x1b[" in text
    assert "\x1b[2J" not in text and "\x1b]0" not in text and not {"\x07", "\x9b", "\r"} & set(text)


def test_a_hostile_answer_in_a_recording_is_shown_as_an_escape(recorded: Callable[[str], Recording]) -> None:
    result = checked("epoll")
    found = predict.against(result, predict.questions("epoll", 1), {"calls": HOSTILE}, 1)
    with printing(file := io.StringIO()) as out:
        prediction.show(found, out)
    assert all(line.isprintable() for line in file.getvalue().split("\n")) and r"\x1b[2J" in file.getvalue()


def test_a_screen_escapes_what_its_caller_forgot() -> None:
    with printing(file := io.StringIO()) as out:
        out.print(HOSTILE)
        figures(out, "name", [Column("figure")], [[HOSTILE, "1"]])
    assert all(line.isprintable() for line in file.getvalue().split("\n"))
