"""The states of a thread: they follow each other without a gap, and the calls do not overlap."""

from __future__ import annotations

import itertools

import pytest

from findings.pictures.states import State, in_order, states
from findings.view import Run
from probes.recording import load
from runs.lab import measure_and_check
from tests.conftest import DATA


@pytest.mark.parametrize("name", ["lock_in_loop", "nonblocking", "processes"])
def test_states_go_forward_and_calls_do_not_overlap(name: str) -> None:
    run = Run(measure_and_check(load(DATA / f"{name}.iolab")))
    for thread in run.result.threads:
        calls = in_order(run.calls_of.get(thread.serial, ()))
        assert all(end <= after.enter for (_, end), (after, _) in itertools.pairwise(calls))
        found = list(states(thread, calls, complete=True))
        assert all(since.at <= after.at for since, after in itertools.pairwise(found))
        assert found[0].at == thread.start and found[-1].at <= thread.end
        assert (State.BURST in {since.state for since in found}) == any(call.count > 1 for call, _ in calls)
        assert State.NOT_KNOWN in {since.state for since in states(thread, calls, complete=False)}
