"""The report on the terminal, from recordings: it fits the width, has no colours in a pipe, and has all its sections."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from probes.measure.result import ReadyListEvent, Result
from probes.recording import Probe, Quality, Recording
from reports.terminal import page
from reports.terminal.screen import screen
from reports.terminal.threads import account
from reports.words import duration, milliseconds
from runs import lab as run
from runs.report import report
from tests.conftest import checked


def shown(recording: Recording, width: int = 80, encoding: str = "utf-8", stacks: bool = False) -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding)
    page.show(report(run.measure_and_check(recording)), screen(file, width), stacks)
    file.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("name", ["blocking", "epoll"])
@pytest.mark.parametrize("width", [80, 100, 160])
def test_no_line_is_wider_than_the_screen(name: str, width: int, recorded: Callable[[str], Recording]) -> None:
    text = shown(recorded(name), width, stacks=True)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    assert "…" not in text, "a cell was cut"
    assert "\x1b" not in text


@pytest.mark.parametrize("name", ["blocking", "epoll"])
def test_everything_that_was_promised_is_there(name: str, recorded: Callable[[str], Recording]) -> None:
    text = shown(recorded(name))
    for words in (
        "phase 1: wait for data", "phase 2: copy to the process", "|send", "|ready", "asleep", "run queue",
        "the thread is woken: packet", "system calls, in ms", "sleeps, by wait queue and waker",
        "time of each thread", "psutil:", "cost of tracing:", "0 lost, 0 unmatched", "statements checked",
        "try next:  invoke lab",
    ):  # fmt: skip
        assert words in text, words


def test_ascii_only_where_only_ascii_can_be_shown(recorded: Callable[[str], Recording]) -> None:
    assert shown(recorded("epoll"), encoding="ascii").isascii()


def test_in_a_pipe_no_line_ends_in_blanks(recorded: Callable[[str], Recording]) -> None:
    file = io.StringIO()
    page.write(report(checked("epoll")), file)
    assert all(line == line.rstrip() for line in file.getvalue().splitlines())


def test_commands_are_named_as_the_user_starts_them(
    recorded: Callable[[str], Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IOLAB_CALLED", "./iolab")
    text = shown(recorded("epoll"))
    assert "try next:  ./iolab lab" in text and "invoke lab" not in text


def test_lost_events_are_shouted(recorded: Callable[[str], Recording]) -> None:
    recording = recorded("epoll")
    recording.losses["RING_FULL"] = 12
    text = shown(recording)
    assert "12 lost" in text and "ring_full 12" in text and "inconclusive" in text
    assert "Every verdict is inconclusive, because events are missing. Run it again" in " ".join(text.split())


def test_a_missing_probe_is_said_with_its_reason(recorded: Callable[[str], Recording]) -> None:
    recording = recorded("epoll")
    missing = Probe("copy", None, Quality.UNAVAILABLE, "this kernel has none")
    probes = tuple(missing if probe.name == "copy" else probe for probe in recording.probes)
    text = shown(replace(recording, probes=probes))
    assert "not measured here: copy (this kernel has none)" in " ".join(text.split())


def test_shares_of_a_life_add_up(recorded: Callable[[str], Recording]) -> None:
    (thread,) = checked("epoll").threads
    assert sum(ns for _, ns in account(thread)) == thread.wall


def test_a_trace_names_its_command(recorded: Callable[[str], Recording]) -> None:
    text = shown(recorded("trace"))
    assert re.search(r"^trace sh -c .*exit status 3", " ".join(text.split()))
    assert "phase 1" not in text


def test_what_probes_in_functions_add_is_shown_where_they_are(recorded: Callable[[str], Recording]) -> None:
    result = checked("epoll")
    bounded = written(result)
    assert "<" in bounded and "an upper bound" in bounded and "checked 7" not in bounded and "ready list 1" not in bounded
    rows = tuple(
        replace(row, copy_quality=Quality.MEASURED, polled=7 if row.name == "epoll_wait" else 0, queued=3, unqueued=1)
        for row in result.rows
    )
    listed = (ReadyListEvent(thread=1, ready=100, at=1600), ReadyListEvent(thread=1, ready=None, at=9000))
    exact = written(replace(result, rows=rows, listed=listed))
    assert "marks an upper bound" not in exact
    assert "checked 7 descriptors, added 3 and removed 1 wait queue entries" in " ".join(exact.split())
    assert f"on the ready list 2 times, {duration(1500)} after the data was ready (median)" in " ".join(exact.split())


def written(result: Result) -> str:
    file = io.StringIO()
    page.write(report(result), file)
    return file.getvalue()


def test_a_copy_that_is_shown_in_part_stays_in_the_row(recorded: Callable[[str], Recording]) -> None:
    """A server's reads of its own files are not bracketed: what is seen of the others' copies is in no other column."""
    result = checked("epoll")
    rows = [replace(row, copy_quality=Quality.UNAVAILABLE) if row.name == "recvfrom" else row for row in result.rows]
    (row,) = [row for row in rows if row.name == "recvfrom"]
    file = io.StringIO()
    page.show(report(replace(result, rows=tuple(rows))), screen(file, 100))
    (line,) = [line for line in file.getvalue().splitlines() if line.startswith("recvfrom ")]
    assert f"{milliseconds(row.copy)}+" in line
    assert "+ marks a copy that is measured in part; the rest is counted as kernel" in file.getvalue()
