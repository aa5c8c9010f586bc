"""Level- and edge-triggered epoll on the same traffic: the calls of each server are always the same."""

from __future__ import annotations

from dataclasses import replace

from labs.kit import edges
from labs.kit.edges import LONG, SHORT
from labs.kit.lab import Run
from probes.measure.result import Verdict
from tests.conftest import lab_run, measured, recording_of


def test_the_servers_make_the_calls_of_their_model() -> None:
    rounds = edges.measure()["rounds"]
    short = {name: rounds[f"{name}, {SHORT}"] for name in edges.SERVERS}
    long = {name: rounds[f"{name}, {LONG}"] for name in edges.SERVERS}
    assert [each["waits"] for each in short.values()] == [1, 1, 1]
    assert [each["reads"] for each in short.values()] == [8, 16, 16]
    assert [each["waits"] for each in long.values()] == [16, 1, 1]
    assert [each["reads"] for each in long.values()] == [128, 136, 136]


def _aside(**changes: int) -> Run:
    """The run of lab epoll_edge, in which the edge-triggered server has other figures for short messages."""
    context = lab_run(recording_of("epoll_edge"))
    name = f"edge, {SHORT}"
    rounds = context.aside["rounds"] | {name: context.aside["rounds"][name] | changes}
    return Run(replace(measured("epoll_edge"), context=replace(context, aside={**context.aside, "rounds": rounds})))


def test_the_kernel_decides_which_is_faster() -> None:
    assert edges.faster(_aside()).verdict is Verdict.REFUTED
    assert edges.faster(_aside(reads=7, cpu_ns=1)).verdict is Verdict.CONFIRMED


def test_fewer_waits_with_a_qualification() -> None:
    assert edges.fewer_waits(_aside()).verdict is Verdict.REFINED
    assert edges.fewer_waits(_aside(reads=8)).verdict is Verdict.FAILED
