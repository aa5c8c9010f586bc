"""The rows of the comparison, derived from recordings by rules that don't know the model."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from labs.kit.lab import Run
from probes.context import CasesRun
from probes.measure.measure import measure
from probes.measure.result import Verdict
from probes.recording import Recording
from reports import comparison as comparison_report
from runs.compare import TRAFFIC, Comparison, Copying, Crowd, Row, Waiting, row
from servers.__main__ import models

PHASES = {
    "asyncio": (Waiting("epoll_wait", "epoll"), Copying("recvfrom", False)),
    "blocking": (Waiting("recvfrom", "socket"), Copying("recvfrom", False)),
    "epoll": (Waiting("epoll_wait", "epoll"), Copying("recvfrom", False)),
    "epoll_edge": (Waiting("epoll_wait", "epoll"), Copying("recvfrom", False)),
    "io_uring": (Waiting("io_uring_enter", "io_uring"), Copying("io_uring_enter", False)),
    "native_aio": (Waiting("io_getevents", "native aio"), Copying("recvfrom", False)),
    "nonblocking": (None, Copying("recvfrom", False)),  # it polls
    "poll": (Waiting("poll", "poll"), Copying("recvfrom", False)),
    "posix_aio": (Waiting("read", "socket", True), Copying("read", True)),
    "process_pool": (Waiting("recvfrom", "socket", True), Copying("recvfrom", True)),
    "processes": (Waiting("recvfrom", "socket", True), Copying("recvfrom", True)),
    "select": (Waiting("pselect6", "select"), Copying("recvfrom", False)),
    "selectors": (Waiting("epoll_wait", "epoll"), Copying("recvfrom", False)),
    "signal_driven": (Waiting("rt_sigtimedwait", "signal"), Copying("recvfrom", False)),
    "thread_pool": (Waiting("recvfrom", "socket", True), Copying("recvfrom", True)),
    "threads": (Waiting("recvfrom", "socket", True), Copying("recvfrom", True)),
}


def made(name: str, recorded: Callable[[str], Recording]) -> Row:
    result = measure(recorded(name))
    if isinstance(result.context, CasesRun):  # the model itself is the first of them
        result = next(iter(Run(result).cases.values())).result
    return row(name, result, memory_bytes=1_000_000)


def test_every_server_is_compared() -> None:
    assert models() == sorted(PHASES)


@pytest.mark.parametrize("name", sorted(PHASES))
def test_the_two_phases_of_each_model(name: str, recorded: Callable[[str], Recording]) -> None:
    one = made(name, recorded)
    assert one.phase_1
    assert (None if one.phase_1.polls else one.phase_1, one.phase_2) == PHASES[name]
    assert one.messages > 0 and one.sound
    assert one.ready_to_notified_ns is not None and one.notified_to_copied_ns is not None


CROWDS = (
    Crowd(1, {"threads": 100, "select": 150, "epoll": 160}),
    Crowd(200, {"threads": 300, "select": 400, "epoll": 200}),
)


@pytest.fixture
def compared(recorded: Callable[[str], Recording]) -> Comparison:
    return Comparison(TRAFFIC, tuple(made(name, recorded) for name in models()), CROWDS)


def written(comparison: Comparison, json: bool = False) -> str:
    file = io.StringIO()
    comparison_report.write(comparison, file, json)
    return file.getvalue()


def test_the_table_fits_80_columns_and_says_who_wins(compared: Comparison) -> None:
    text = written(compared)
    assert max(map(len, text.splitlines())) <= 80 and "…" not in text
    words = " ".join(text.split())
    assert "At 1 connection threads is the fastest" in words and "At 200 connections epoll is the fastest" in words
    assert "nonblocking takes" in words and "C23" in words and "C47" in words


def test_json_has_every_model(compared: Comparison) -> None:
    found = json.loads(written(compared, json=True))
    assert found["schema_version"] == 1 and {one["model"] for one in found["models"]} == set(PHASES)
    assert found["crowds"][1]["winner"] == "epoll" and found["verdict"] == "pass"
    assert [one["verdict"] for one in found["checks"]] == ["confirmed", "refined"]


def verdicts(comparison: Comparison) -> list[Verdict]:
    return [one.verdict for one in comparison.checks]


def test_multiplexers_without_the_second_call_fail_the_comparison(compared: Comparison) -> None:
    """As if the rows of the models that wait and then read were those of models that only read."""
    cheap = tuple(replace(one, calls_per_message=2.0) if one.model in ("epoll", "select") else one for one in compared.rows)
    assert verdicts(replace(compared, rows=cheap))[0] is Verdict.FAILED


def test_a_multiplexer_that_is_clearly_faster_refutes_the_text(compared: Comparison) -> None:
    fast = (Crowd(1, {"threads": 200, "select": 190, "epoll": 100}),)
    assert verdicts(replace(compared, crowds=fast))[0] is Verdict.REFUTED


def test_models_that_all_wait_alike_fail_the_comparison(compared: Comparison) -> None:
    alike = tuple(replace(one, phase_1=Waiting("recvfrom", "socket")) for one in compared.rows)
    assert verdicts(replace(compared, rows=alike))[1] is Verdict.FAILED


def test_lost_events_make_the_comparison_inconclusive(compared: Comparison) -> None:
    rows = (replace(compared.rows[0], sound=False), *compared.rows[1:])
    assert set(verdicts(replace(compared, rows=rows))) == {Verdict.INCONCLUSIVE}
