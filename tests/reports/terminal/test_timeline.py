"""The timeline on a terminal: letters that agree with the recording, on screens of several widths, also in plain ASCII."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from findings.zoom import Zoom, moment
from probes.measure.result import Result
from reports.terminal import page
from runs.report import report
from tests.conftest import ROOT, checked, measured
from tests.findings.pictures.test_lanes import cut_to_windows


def shown(result: Result, begin: str = "", end: str = "", width: int = 80) -> str:
    zoom = Zoom(moment("from", begin) if begin else None, moment("to", end) if end else None)
    file = io.StringIO()
    page.write(report(result), file, width=width, zoom=zoom)
    return file.getvalue()


def lane(text: str, name: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(name))


def test_the_message_of_the_picture_reads_from_left_to_right() -> None:
    text = shown(checked("blocking"))
    assert "the message of the picture" in text and "whole run: --from 0 --to end" in text
    cells = lane(text, "blocking 17131").split()[-1]
    assert "".join(sorted(set(cells), key=cells.index)) == ".rkcu"
    lines = text.splitlines()
    row = lines.index(lane(text, "blocking 17131"))
    marks, names = lines[row - 1], lines[row + 1]
    assert marks.index("D") < marks.index("1") < marks.index("R")
    assert lines[row][marks.index("1")] == "r", "the thread is in the run queue from the wake-up on"
    assert names.split() == ["recvfrom"]
    assert "is woken by python over TCP, after 22.4 ms in recvfrom, asleep on the socket's queue" in " ".join(text.split())
    assert "checks: 5 confirmed" in text


@pytest.mark.parametrize("width", [60, 80, 140])
@pytest.mark.parametrize("name", ["blocking", "threads", "thundering_herd", "lock_in_loop", "nonblocking", "budget"])
def test_no_line_is_wider_than_the_screen(name: str, width: int) -> None:
    text = shown(measured(name), "0", "end", width)
    assert all(len(line) <= width for line in text.splitlines())
    assert "the part that --from and --to name" in " ".join(text.split())


def test_what_is_not_recorded_is_neither_blank_nor_asleep() -> None:
    text = shown(measured("budget"), "300ms", "end")
    assert set(lane(text, "python3 16049").split()[-1]) == {"?"}
    assert "? is 100 % of this time: 152 of 1,059 calls were recorded one by one" in " ".join(text.split())
    assert "recorded one by one: 0 to 77.5 ms" in text
    whole = shown(cut_to_windows(measured("blocking")), "0")
    assert "?" in lane(whole, "blocking") and "." in lane(whole, "blocking")
    assert "?" not in lane(shown(measured("blocking"), "0"), "blocking")


def test_many_threads_are_folded_by_their_kinds() -> None:
    text = shown(measured("thundering_herd"))
    assert "33 workers of" in text and "27 more" in text and "how many were awake" in " ".join(text.split())
    assert "173 wake-ups: 161 by python over TCP" in " ".join(text.split())


@pytest.mark.parametrize(
    ("document", "name", "begin", "end"), [("students", "blocking", "", ""), ("engineers", "lock_in_loop", "340ms", "540ms")]
)
def test_the_example_in_the_documents_is_that_of_the_recording(document: str, name: str, begin: str, end: str) -> None:
    text = shown(measured(name), begin, end).partition("timeline: ")[2].partition("\nchecks:")[0].rstrip()
    example = f"```\ntimeline: {text}\n```"
    assert example in (ROOT / "docs" / f"{document}.md").read_text(), f"put this into docs/{document}.md:\n{example}"


def test_hostile_names_do_not_reach_the_terminal() -> None:
    result = measured("blocking")
    bad = "\x1b[2Jevil\n"
    threads = tuple(replace(thread, name=bad) for thread in result.threads)
    calls = tuple(replace(call, name=bad) for call in result.calls)
    assert "\x1b" not in shown(replace(result, threads=threads, calls=calls), "0")


def test_an_ascii_terminal_gets_ascii() -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    page.write(report(measured("threads")), file, zoom=Zoom())
    file.flush()
    assert b"threads 16264" in file.buffer.getvalue()
