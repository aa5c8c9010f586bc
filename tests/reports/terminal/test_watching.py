"""The view of a running program: whole words at 80 columns, the rows that fit, text of programs escaped."""

from __future__ import annotations

import io

from findings.live import Interval, between
from probes.kernel.records import Kind, Off
from reports.terminal.screen import Screen
from reports.terminal.watching import View, lines, screenful
from tests.findings.test_live import SECOND, Program, asleep, row, sleeps, state, thread
from tests.probes.measure.streams import record


def interval(name: str = "server") -> Interval:
    program = Program()
    before = program.moment(SECOND, thread(1, 7, 7, name), thread(2, 8, 7, "idler", 1), state(1, SECOND), state(2, SECOND))
    after = program.moment(
        2 * SECOND, row(1, "recvfrom", 2000, 128_000), row(1, "epoll_wait", 90), sleeps(1, "epoll_wait", 90, SECOND, 1, 2),
        state(1, 2 * SECOND, wait=SECOND // 2, made=2090), asleep(2, 2 * SECOND, SECOND, "futex", 4),
    )  # fmt: skip
    return between(before, after)


def drawn(rows: int, columns: int = 80, name: str = "server") -> str:
    file = io.StringIO()
    Screen(file=file, width=columns, height=rows).print(screenful(interval(name), "title", columns, rows))
    return file.getvalue()


def test_a_line_has_roles_rates_and_waits() -> None:
    loop, idle = lines(interval())
    assert loop == (
        "server: 1 event loop (7): CPU 50.0 %, run queue 0 %, asleep 50.0 %, 2,090 calls/s, 128 kB/s;"
        " 50.0 % in epoll_wait on epoll: 90 sleeps, woken by wrk over TCP"
    )
    assert idle == (
        "server: 1 idle thread idler (7): CPU 0 %, run queue 0 %, asleep 100 %, 0 calls/s;"
        " 100 % in futex on futex: no sleep ended"
    )


def test_the_screen_shows_what_fits_and_says_what_does_not() -> None:
    whole = drawn(24)
    assert "event loop" in whole and "idle thread" in whole and "…" not in whole and "more group" not in whole
    assert "1 more group" in drawn(8) and "idle thread" not in drawn(8)
    assert "woken by wrk over TCP" in " ".join(drawn(24, 60).split())


def test_names_of_programs_are_escaped() -> None:
    assert "\x1b" not in drawn(24, name="a\x1b[2J") and r"\x1b" in drawn(24, name="a\x1b[2J")
    assert not any("\x1b" in line for line in lines(interval("a\x1b[2J")))
    file = io.StringIO()
    view = View(file, "title\x1b", None)
    view.show(interval("a\x1b[2J"))
    view.summary(interval("a\x1b[2J"))
    assert "\x1b" not in file.getvalue() and "Counts are exact." in file.getvalue()


def test_a_kind_of_absence_has_the_number_of_the_kernel_side() -> None:
    """fold.h: enum { ON_CPU, ASLEEP, PREEMPTED, NEWBORN }."""
    assert [Off.ON_CPU, Off.ASLEEP, Off.PREEMPTED, Off.NEWBORN] == [0, 1, 2, 3] and record(Kind.STATE).off == Off.ON_CPU
