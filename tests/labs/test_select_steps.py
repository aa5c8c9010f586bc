"""Lab select_steps on a kernel whose poll methods and wait queues are counted: right counts hold, wrong counts fail."""

from __future__ import annotations

import dataclasses

import pytest

import labs
from findings.view import Run
from labs.select_steps import WAKING, only
from probes.measure.result import Call, Check, Result, Verdict
from tests.conftest import measured


def with_counts(counts: dict[str, dict[str, int]]) -> dict[str, Check]:
    """The lab's checks by their step, with other counts in the call of select of some sections."""
    result = measured("select_steps")
    run = Run(result)
    changed: dict[int, Call] = {}
    for section, values in counts.items():
        call = only(run, section)
        assert call
        changed[id(call)] = dataclasses.replace(call, **values)  # type: ignore[arg-type]
    other: Result = dataclasses.replace(result, calls=tuple(changed.get(id(call), call) for call in result.calls))
    return {check.name.partition(":")[0]: check for check in labs.find("select_steps").judge(other).checks}


TWO = {"queued": 2, "unqueued": 2}


@pytest.mark.parametrize(
    ("step", "counts", "verdict"),
    [
        ("step 2", {"five descriptors": {"queued": 0}}, Verdict.REFINED),
        ("step 2", {"five descriptors": {"queued": 5}}, Verdict.FAILED),
        ("step 3", {"five descriptors": {"polled": 5}}, Verdict.CONFIRMED),
        ("step 3", {"five descriptors": {"polled": 3}}, Verdict.FAILED),
        ("step 4", dict.fromkeys(WAKING, TWO), Verdict.REFINED),
        ("step 4", {WAKING[0]: TWO, WAKING[1]: {"queued": 1, "unqueued": 1}}, Verdict.FAILED),
        ("step 4", {name: {"queued": 2, "unqueued": 0} for name in WAKING}, Verdict.FAILED),
        ("step 7", {"another event": {"polled": 3}}, Verdict.CONFIRMED),
        ("step 7", {"another event": {"polled": 1}}, Verdict.FAILED),
    ],
)
def test_counts_decide_where_the_kernel_gives_them(step: str, counts: dict[str, dict[str, int]], verdict: Verdict) -> None:
    check = with_counts(counts)[step]
    assert check.verdict is verdict, check.evidence


def test_the_steps_are_eight_and_in_order() -> None:
    assert list(with_counts({})) == [f"step {number}" for number in range(1, 9)]


def test_a_wake_up_without_a_second_walk_would_end_the_call() -> None:
    """A select that trusted the wake-up would return 1 descriptor after a single sleep."""
    run = Run(measured("select_steps"))
    call = only(run, "another event")
    assert call and len(call.sleeps) == 2
    result = measured("select_steps")
    trusting = dataclasses.replace(call, sleeps=call.sleeps[:1], result=1)
    calls = tuple(trusting if other is call else other for other in result.calls)
    (check,) = [
        check
        for check in labs.find("select_steps").judge(dataclasses.replace(result, calls=calls)).checks
        if check.name.startswith("step 7")
    ]
    assert check.verdict is Verdict.FAILED
