"""The figures of a tool: compared with the median of the untraced runs; lost calls run by run; failures with their reasons."""

from __future__ import annotations

from runs.bench.figures import Bench, Figure, Host, Outcome, Usage
from runs.bench.tools import TOOLS, Tool
from runs.bench.workloads import WORKLOADS, Load

HOST = Host("6.18", "x86_64", "a processor", 2, 0.1, 0, ("strace -- version 6.1",))
BARE, EMPTY, STRACE = (next(tool for tool in TOOLS if tool.name == name) for name in ("untraced", "empty", "strace"))


def traced(tool: Tool, number: int, ns: float, calls: int, reported: int | None) -> Outcome:
    load = Load(operations=calls, wall_ns=round(calls * ns), typical_ns=ns, calls=calls)
    return Outcome("eagain", tool.name, number, load, Usage(0.5, 2_000_000, 0.1, reported, 0))


def bare(number: int, ns: float) -> Outcome:
    return Outcome("eagain", "untraced", number, Load(1000, round(1000 * ns), ns, 1000), None)


def bench(*outcomes: Outcome) -> Bench:
    return Bench(WORKLOADS[:1], (BARE, EMPTY, STRACE), 2, outcomes, {}, HOST)


def test_a_tool_is_compared_with_the_median_of_the_untraced_runs() -> None:
    result = bench(
        bare(0, 200), bare(0, 300), bare(1, 900), traced(STRACE, 0, 3000, 500, 500), traced(STRACE, 1, 1300, 500, 480),
        traced(EMPTY, 0, 400, 900, None), Outcome("eagain", "empty", 1, None, None, "empty probes ended early: refused"),
    )  # fmt: skip
    untraced, empty, strace = result.rows(WORKLOADS[0])
    assert untraced.operation_ns == Figure(300, 200, 900) and untraced.added_ns is None and untraced.left_percent is None
    assert strace.added_ns == Figure(1850, 1000, 2700)
    assert strace.left_percent and round(strace.left_percent.highest, 2) == round(100 * 300 / 1300, 2)
    assert (strace.calls, strace.expected, strace.lost, strace.lost_percent) == (980, 1000, 20, 2.0)
    assert (empty.calls, empty.lost, empty.lost_percent) == (None, None, None)
    assert empty.failures == ("empty probes ended early: refused",)
    assert result.complete  # a failure of another tool is no failure of the benchmark


def test_calls_too_many_in_one_run_do_not_hide_calls_lost_in_another() -> None:
    result = bench(bare(0, 300), traced(STRACE, 0, 3000, 500, 520), traced(STRACE, 1, 3000, 500, 490))
    assert result.rows(WORKLOADS[0])[2].lost == 10


def test_without_an_untraced_run_nothing_is_compared() -> None:
    result = bench(Outcome("eagain", "untraced", 0, None, None, "it hung"), traced(STRACE, 0, 3000, 500, 500))
    assert not result.complete
    assert result.rows(WORKLOADS[0])[2].added_ns is None
