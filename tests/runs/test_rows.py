"""A row of the comparison: where a model waits, which call copies, and figures per message over several rounds."""

from __future__ import annotations

import dataclasses

import pytest

from probes.measure.result import Result
from runs.rows import Copying, Round, Waiting, kind_of_waiting, row
from tests.conftest import measured


def round_of(result: Result, answered: int = 69, memory: int = 1 << 20) -> Round:
    return Round(result, answered, memory)


@pytest.mark.parametrize(
    ("model", "waiting", "kind"),
    [
        ("blocking", Waiting("recvfrom", "socket"), "blocked in a call on the socket"),
        ("threads", Waiting("recvfrom", "socket", worker=True), "blocked in a call on the socket by a worker"),
        ("epoll", Waiting("epoll_wait", "epoll"), "blocked in a multiplexer"),
        ("select", Waiting("pselect6", "poll"), "blocked in a multiplexer"),
        ("io_uring", None, "waiting for completions"),
        ("signal_driven", None, "waiting for a signal"),
    ],
)
def test_each_model_waits_in_its_own_way(model: str, waiting: Waiting | None, kind: str) -> None:
    figures = row(model, [round_of(measured(model))])
    assert figures.phase_1 and kind_of_waiting(figures.phase_1) == kind
    if waiting and model != "select":
        assert figures.phase_1 == waiting


def test_a_model_that_never_sleeps_polls() -> None:
    figures = row("nonblocking", [round_of(measured("nonblocking"))])
    assert figures.phase_1 and figures.phase_1.polls > 10 and kind_of_waiting(figures.phase_1) == "polling"


def test_the_copy_of_a_worker_is_another_copy() -> None:
    assert row("blocking", [round_of(measured("blocking"))]).phase_2 == Copying("recvfrom", worker=False)
    assert row("threads", [round_of(measured("threads"))]).phase_2 == Copying("recvfrom", worker=True)


def test_figures_per_message_are_medians_of_the_rounds() -> None:
    epoll = measured("epoll")
    rounds = [round_of(epoll, answered) for answered in (69, 23, 138)]
    figures = row("epoll", rounds)
    made = sum(thread.calls for thread in epoll.threads)
    assert figures.calls_per_message == round(made / 69, 1)
    assert figures.cpu_per_message_ns.low < figures.cpu_per_message_ns.median < figures.cpu_per_message_ns.high
    assert figures.rounds == 3 and figures.messages == 3 * len(epoll.messages)


def test_the_largest_round_says_how_much_memory_a_model_takes() -> None:
    assert row("epoll", [round_of(measured("epoll"), memory=size) for size in (5, 9, 7)]).memory_bytes == 9


def test_a_round_without_an_answer_divides_by_nothing() -> None:
    figures = row("epoll", [round_of(dataclasses.replace(measured("epoll"), messages=()), answered=0)])
    assert figures.messages == 0 and figures.ready_to_notified_ns is None
