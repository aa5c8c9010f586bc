"""A lab with several servers: which parts belong to which server, and the check of a server that the machine lacks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import labs
from labs.kit.lab import Run
from probes.context import ServedCase
from probes.measure.result import Verdict
from probes.recording import Recording
from tests.conftest import cases_of, checked, checked_with

SIDE_BY_SIDE = [name for name in labs.names() if labs.find(name).cases]


@pytest.mark.parametrize("lab", SIDE_BY_SIDE)
def test_every_thread_call_and_message_belongs_to_one_case(lab: str, recorded: Callable[[str], Recording]) -> None:
    result = checked(lab)
    parts = [run.result for run in Run(result).cases.values()]
    for what in ("threads", "calls", "messages"):
        whole = getattr(result, what)
        assert sorted(id(item) for part in parts for item in getattr(part, what)) == sorted(map(id, whole)), what
    assert sum(row.count for part in parts for row in part.rows) == sum(row.count for row in result.rows)
    assert all(part.threads for part in parts)


@pytest.mark.parametrize("lab", SIDE_BY_SIDE)
def test_a_case_that_the_machine_lacks_makes_its_checks_unavailable(lab: str, recorded: Callable[[str], Recording]) -> None:
    cases = tuple(ServedCase(case.name, case.server, skipped="this kernel has none") for case in cases_of(recorded(lab)))
    result = checked_with(lab, cases=cases)
    assert {check.verdict for check in result.checks} == {Verdict.UNAVAILABLE}
    assert all("this kernel has none" in check.evidence for check in result.checks)
    assert result.verdict == "pass"
