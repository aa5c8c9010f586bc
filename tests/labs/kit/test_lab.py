"""A lab with several servers: what belongs to which, and what happens to a check of one that isn't there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import labs
from labs.kit.lab import Run
from probes.measure.result import Verdict
from probes.recording import Recording
from runs.lab import measure_and_check

SIDE_BY_SIDE = [name for name in labs.names() if labs.find(name).cases]


@pytest.mark.parametrize("lab", SIDE_BY_SIDE)
def test_every_thread_call_and_message_belongs_to_one_case(lab: str, recorded: Callable[[str], Recording]) -> None:
    result = measure_and_check(recorded(lab))
    parts = [run.result for run in Run(result).cases.values()]
    for what in ("threads", "calls", "messages"):
        whole = getattr(result, what)
        assert sorted(id(one) for part in parts for one in getattr(part, what)) == sorted(map(id, whole)), what
    assert sum(row.count for part in parts for row in part.rows) == sum(row.count for row in result.rows)
    assert all(part.threads for part in parts)


@pytest.mark.parametrize("lab", SIDE_BY_SIDE)
def test_a_case_that_the_machine_lacks_makes_its_checks_unavailable(lab: str, recorded: Callable[[str], Recording]) -> None:
    cases = [
        {"name": one["name"], "server": one["server"], "skipped": "this kernel has none"} for one in cases_of(lab, recorded)
    ]
    found = measure_and_check(recorded(lab).with_context(cases=cases))
    assert {one.verdict for one in found.checks} == {Verdict.UNAVAILABLE}
    assert all("this kernel has none" in one.evidence for one in found.checks)
    assert found.verdict == "pass"


def cases_of(lab: str, recorded: Callable[[str], Recording]) -> list[dict[str, str]]:
    found: list[dict[str, str]] = recorded(lab).context["cases"]
    return found
