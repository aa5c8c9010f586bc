"""The workloads count what they do, and a program that is missing is named with its package."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import pytest

from runs.bench.figures import Outcome
from runs.bench.programs import Failed, Guard
from runs.bench.rounds import run
from runs.bench.tools import TOOLS
from runs.bench.workloads import WORKLOADS, Load, Place, Workload, compiled, lacking, rate, words_of
from tests.conftest import cannot

IN_C = [workload for workload in WORKLOADS if workload.counted]


@pytest.fixture(scope="module")
def outcome_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Workload], Outcome]]:
    """Runs a workload, once for all tests."""
    folder = tmp_path_factory.mktemp("workloads")
    program = compiled(folder)
    if not program:
        cannot("gcc is missing", "apt-get install gcc libc6-dev")
    with Guard(folder) as guard:
        place = Place(folder, guard, program)
        yield functools.cache(lambda workload: run(workload, TOOLS[0], 0, place))


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_each_workload_runs_without_a_tool(workload: Workload, outcome_of: Callable[[Workload], Outcome]) -> None:
    if workload.missing():
        cannot(workload.missing(), "install it")
    outcome = outcome_of(workload)
    assert outcome.load, outcome.failure
    assert outcome.load.operations > 0 and outcome.load.typical_ns > 0 and outcome.load.per_second > 0
    assert (outcome.load.calls is not None) == bool(workload.counted)


@pytest.mark.parametrize(("name", "at_least"), [("eagain", 1), ("roundtrip", 2), ("bulk", 17), ("epoll", 2)])
def test_the_program_counts_its_calls(name: str, at_least: int, outcome_of: Callable[[Workload], Outcome]) -> None:
    """A round trip is a recvfrom and a sendto; 1 MiB is at least 16 times the buffer, and an answer."""
    workload = next(workload for workload in IN_C if workload.name == name)
    load = outcome_of(workload).load
    assert isinstance(load, Load) and load.calls
    assert load.calls >= at_least * load.operations
    if name == "eagain":
        assert load.calls == load.operations


def test_missing_programs_are_named_with_their_packages() -> None:
    assert lacking({"no-such-a": "first", "sh": "dash", "no-such-b": "second"}) == (
        "no-such-a and no-such-b are missing: apt-get install first second"
    )


def test_a_client_without_a_result_is_a_failure() -> None:
    with pytest.raises(Failed, match="wrk printed no result: connection refused"):
        rate("connection refused", r"Requests/sec:\s+([0-9.]+)", "wrk")
    with pytest.raises(Failed, match="the client ended before it had a result"):
        words_of("12 13", 3, "the client")
