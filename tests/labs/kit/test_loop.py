"""A loop with one wait: the finding is confirmed with figures, and a failure names what is broken and no more."""

from __future__ import annotations

from findings.view import Run
from labs.kit import loop
from probes.measure.result import Verdict
from tests.conftest import measured


def test_a_loop_that_sleeps_only_in_its_wait() -> None:
    found = loop.sleeps_only_in(Run(measured("select")), "select")
    assert found.verdict is Verdict.CONFIRMED
    assert "0 turns without a sleep" in found.evidence and "0 sleeps ended because a time-out expired" in found.evidence


def test_a_loop_that_spins_sleeps_or_waits_elsewhere() -> None:
    for name, case, queue, words in (
        ("always_writable", "broken select", "select", "a descriptor was reported as ready and no data moved"),
        ("slow_handler", "broken", "epoll", "in clock_nanosleep"),
        ("time_out_polling", "time-out 1 ms", "epoll", "ended because a time-out expired"),
        ("poll", "", "select", "0 sleeps in select"),
    ):
        run = Run(measured(name))
        found = loop.sleeps_only_in(run.case(case) if case else run, queue)
        assert found.verdict is Verdict.FAILED
        assert words in found.evidence
