"""The first screen of a trace: what the program is, where it waits and for whom, what is wrong with it."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest

from findings.part import Part
from probes.measure.result import Result
from reports.terminal import page
from reports.words import milliseconds
from runs.report import report
from tests.conftest import checked


def first_screen(result: Result, part: Part | None = None, width: int = 80, stories: int = 0) -> str:
    page.write(report(result, part, stories), file := io.StringIO(), width=width, brief=True)
    return file.getvalue()


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("name", ["trace", "lock_in_loop", "budget", "pausing_client"])
@pytest.mark.parametrize("width", [60, 80, 120])
def test_it_is_one_screen_with_three_questions(name: str, width: int) -> None:
    lines = first_screen(checked(name), width=width).splitlines()
    assert max(map(len, lines)) <= width
    assert width < 80 or len(lines) <= 26
    titles = [line.rstrip("─ ") for line in lines if line.endswith("──")]
    assert titles == ["what the program is", "where its threads wait", "what is wrong"]


def test_a_lock_in_an_event_loop_is_found_with_its_holder() -> None:
    text = words(first_screen(checked("lock_in_loop")))
    assert re.search(r"in futex, longest 150 ms, woken mostly by 2 helper threads through a futex", text)
    assert "an event loop blocks outside its wait (150 ms)" in text and "remedy:" in text
    assert text.index("main thread of") < text.index("2 helper threads of") < text.index("2 idle threads of")


def test_where_nothing_is_wrong_it_says_what_was_looked_for() -> None:
    text = words(first_screen(checked("trace")))
    assert re.search(r"nothing found\. These properties hold: [a-z-]+, [a-z-]+.*; this run does not show \d+ other", text)


def test_the_start_up_is_apart() -> None:
    text = words(first_screen(checked("lock_in_loop")))
    assert re.search(r"start-up: \d+ ms, 1,399 calls", text)
    page.write(report(checked("lock_in_loop")), file := io.StringIO(), width=80)
    table = file.getvalue().partition("system calls of the service")[2].partition("start-up ──")[0]
    assert "ENOENT" not in table and "execve" not in table
    assert "openat ENOENT" in words(file.getvalue().partition("start-up ──")[2])


def test_figures_from_a_part_of_a_long_run_are_marked() -> None:
    text = first_screen(checked("budget"))
    assert re.search(r"details: [\d.]+ % of 1,059 calls", words(text))


def test_a_part_is_named_and_is_all_that_is_shown() -> None:
    result = checked("lock_in_loop")
    text = words(first_screen(result, Part(calls=("futex",))))
    assert "only call futex" in text and "in futex" in text and "epoll_wait" not in text and "what is it" not in text
    tid = result.threads[0].tid
    text = words(first_screen(result, Part(threads=(str(tid),)), stories=1))
    assert f"only thread {tid}" in text and "1 process" in text and "helper threads of" not in text
    assert re.search(r"futex number \d+ of thread python3 \(tid \d+\) took 150\.2 ms", text)
    assert re.search(r"which woke it, slept 150\.\d ms in clock_nanosleep", text)


@pytest.mark.parametrize(
    ("name", "note"), [("threads", "the tables show only call recvfrom;"), ("silent_client", "a lab with several servers is")]
)
def test_the_page_of_a_lab_says_which_part_it_shows(name: str, note: str) -> None:
    page.write(report(checked(name), Part(calls=("recvfrom",))), file := io.StringIO(), width=80)
    assert note in words(file.getvalue())
    page.write(report(checked(name)), file := io.StringIO(), width=80)
    assert note not in words(file.getvalue())


def test_a_part_that_has_nothing_says_so() -> None:
    text = first_screen(checked("lock_in_loop"), Part(threads=("nobody",)))
    assert "only thread nobody: nothing in this run matches" in words(text)


@pytest.mark.parametrize("width", [60, 80, 110, 160])
def test_no_figure_is_cut_however_large(width: int) -> None:
    result = checked("trace")
    factor = 10**9
    rows = tuple(
        replace(row, count=row.count * factor, total=row.total * factor, kernel=row.kernel * factor, bytes=row.bytes * factor)
        for row in result.rows
    )
    page.write(report(replace(result, rows=rows)), file := io.StringIO(), width=width)
    text = file.getvalue()
    assert max(map(len, text.splitlines())) <= width and "…" not in text
    assert all(f"{row.count:,}" in text and milliseconds(row.total) in text for row in rows[:5])


def test_percentiles_and_the_longest_sleep_are_shown_at_80_columns() -> None:
    page.write(report(checked("lock_in_loop")), file := io.StringIO(), width=80)
    table = file.getvalue().partition("how long one call took")[2]
    assert table.splitlines()[2].split() == ["call", "p50", "p99", "longest", "sleep", "bytes", "errors"]
    (row,) = [line for line in table.splitlines() if line.startswith("futex ")]
    assert row.split()[5:9] == ["344", "ms", "343", "ms"]
