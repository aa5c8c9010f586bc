"""A plan names what is missing; a tool that hangs or fails costs its own figures only."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from probes.errors import CannotTrace, WrongUsage
from runs.bench import rounds, workloads
from runs.bench.programs import Guard
from runs.bench.tools import TOOLS, Tool, no_calls, of_strace_table
from runs.bench.workloads import WORKLOADS, Place, compiled
from tests.conftest import cannot, tool

EAGAIN = WORKLOADS[0]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    if not (program := compiled(tmp_path)):
        cannot("gcc is missing", "apt-get install gcc libc6-dev")
    with Guard(tmp_path) as guard:
        yield Place(tmp_path, guard, program)


def test_unknown_names_and_numbers_are_wrong_usage() -> None:
    for only, tools, number in (("epol", "", 3), ("", "gdb", 3), ("", "", 0), ("", "", 101)):
        with pytest.raises(WrongUsage):
            rounds.plan(only, tools, number)


def test_the_untraced_run_is_always_there() -> None:
    plan = rounds.plan("eagain", "iolab,empty,iolab", 1)
    assert [chosen.name for chosen in plan.tools] == ["untraced", "iolab", "empty"]
    assert plan.seconds > 0


def test_what_is_missing_is_left_out_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workloads, "_PATH", "/nowhere")
    with pytest.raises(CannotTrace, match="gcc libc6-dev") as refused:
        rounds.plan("", "", 1)
    for package in ("redis-server", "redis-tools", "nginx-light"):
        assert package in refused.value.remedy
    for packaged in filter(lambda known: known.package, TOOLS):
        assert packaged.missing() == f"{packaged.line[0]} is missing: apt-get install {packaged.package}"
    assert {known.package for known in TOOLS} == {"", "bpftrace", "linux-perf", "strace", "bpfcc-tools"}


def test_a_tool_that_ends_early_is_named_with_its_reason(place: Place) -> None:
    failing = Tool("failing", "failing", ("sh", "-c", "echo no tracing here >&2; exit 3", "sh"), no_calls)
    outcome = rounds.run(EAGAIN, failing, 0, place)
    assert outcome.load is None and outcome.failure == "failing ended early: no tracing here"
    attached = dataclasses.replace(failing, attaches=True, attached=lambda _program: False)
    assert rounds.run(EAGAIN, attached, 0, place).failure == "failing ended early: no tracing here"


@pytest.mark.parametrize("attached", [False, True], ids=["never attached", "never done"])
def test_a_tool_that_hangs_is_killed(place: Place, monkeypatch: pytest.MonkeyPatch, attached: bool) -> None:
    monkeypatch.setattr(rounds, "_ATTACH", 0.2)
    monkeypatch.setattr(rounds, "_REPORT", 0.2)
    hanging = Tool(
        "hanging",
        "hanging",
        ("sh", "-c", "trap '' INT; sleep 600"),
        no_calls,
        attaches=True,
        attached=lambda _program: attached,
    )
    outcome = rounds.run(EAGAIN, hanging, 0, place)
    assert outcome.load is None
    assert ("was not done after" if attached else "was not attached after") in outcome.failure


def test_a_report_without_calls_is_a_failure(place: Place) -> None:
    silent = Tool("silent", "silent", ("env",), of_strace_table)
    assert "reports no call" in rounds.run(EAGAIN, silent, 0, place).failure


@pytest.mark.live
@pytest.mark.parametrize("tracer", TOOLS[1:], ids=lambda tracer: tracer.name)
def test_each_tool_delivers_the_calls_of_the_program(kernel: None, place: Place, tracer: Tool) -> None:
    if tracer.package:
        tool(tracer.line[0], tracer.package)
    outcome = rounds.run(EAGAIN, tracer, 0, place)
    assert outcome.load and outcome.usage, outcome.failure
    assert outcome.usage.memory_bytes > 0 and outcome.usage.report_s >= 0
    if tracer.name == "empty":
        assert outcome.usage.calls is None
        return
    assert outcome.load.calls and outcome.usage.calls is not None
    assert outcome.usage.calls + outcome.usage.lost >= outcome.load.calls * 0.9
    assert outcome.usage.calls <= outcome.load.calls + 200  # a histogram has the calls of the program's start and end, too
