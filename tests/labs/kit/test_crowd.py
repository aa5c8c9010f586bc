"""What crowds of threads and processes cost on this machine; and the finding that labs make of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from labs.kit import asides, crowd
from labs.kit.lab import Finding, Run
from probes.context import LabRun
from probes.measure.result import Verdict
from tests.conftest import measured


def test_each_wakes_for_its_own_message_and_takes_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowd, "CROWDS", (2, 20))
    costs = crowd.threads()["crowd"] | crowd.processes()["crowd"]
    assert set(costs) == {"thread", "process"}
    for unit in costs.values():
        assert set(unit) == {"2", "20"}
        assert all(each["cpu_ns"] > 0 for each in unit.values())
        assert unit["20"]["switches"] > 10  # a message may come before the thread sleeps again
    assert costs["process"]["20"]["bytes"] > costs["thread"]["20"]["bytes"] > 0


def finding(lab: str, unit: str, **aside: Any) -> Finding:
    result = measured(lab)
    assert isinstance(result.context, LabRun)
    return crowd.hundreds_cost(Run(replace(result, context=replace(result.context, aside=aside))), unit)


def costs(**largest: int) -> dict[str, Any]:
    small = {"cpu_ns": 1000, "bytes": 1000, "switches": 10}
    sizes = {str(size): small for size in asides.CROWDS[:-1]} | {str(asides.CROWDS[-1]): {**small, **largest}}
    return {"thread": sizes, "process": sizes}


def test_memory_and_switches_that_do_not_grow_refute_and_a_disturbed_creation_shows_nothing() -> None:
    grown = {"cpu_ns": 20_000, "bytes": 20_000, "switches": 200}
    assert finding("threads", "thread", crowd=costs(**grown)).verdict is Verdict.CONFIRMED
    for name in ("bytes", "switches"):
        assert finding("threads", "thread", crowd=costs(**grown | {name: 10})).verdict is Verdict.REFUTED
    assert finding("threads", "thread", crowd=costs(**grown | {"cpu_ns": 10})).verdict is Verdict.UNAVAILABLE


def test_a_machine_without_hundreds_of_them_shows_nothing() -> None:
    seen = finding("threads", "thread", crowd_skipped="RLIMIT_NOFILE allows 64 descriptors only")
    assert seen.verdict is Verdict.UNAVAILABLE and "64" in seen.evidence


def test_a_server_without_threads_pays_for_none() -> None:
    assert finding("epoll", "thread", crowd=costs()).verdict is Verdict.FAILED
    assert finding("threads", "process", crowd=costs()).verdict is Verdict.FAILED
