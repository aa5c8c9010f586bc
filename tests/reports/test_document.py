"""The JSON document: the keys that are promised, with their types, and sums that hold."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from probes.recording import Recording
from reports import document
from runs import lab as run
from runs.report import report

SHAPE: dict[str, Any] = {
    "schema_version": int, "iolab": str, "lab": str, "model": str, "verdict": str,
    "machine": {"kernel": str, "arch": str, "cpus": int},
    "probes": [{"name": str, "attached": (str, type(None)), "quality": str}],
    "events": {"seen": int, "lost": int, "unmatched": int},
    "calls": [{
        "name": str, "count": int, "errors": dict, "bytes": int, "total_ns": int, "wait_ns": int, "sched_delay_ns": int,
        "preempted_ns": int, "copy_ns": int, "kernel_ns": int, "p50_ns": int, "p99_ns": int,
        "copy_in_max_ns": (int, type(None)), "copy_out_max_ns": (int, type(None)), "copy_quality": str,
        "slept_on": [{"queue": str, "count": int, "ns": int, "woken_by": [str]}],
    }],
    "messages": {"count": int, "ready_to_notified_ns": {"p50": int, "p99": int},
                 "notified_to_copied_ns": {"p50": int, "p99": int},
                 "bytes": int},
    "threads": [{
        "tid": int, "name": str, "wall_ns": int, "user_ns": int, "wait_ns": int, "sched_delay_ns": int, "preempted_ns": int,
        "copy_ns": int, "kernel_ns": int, "voluntary_switches": int,
    }],
    "overhead": {"untraced_s": float, "traced_s": float},
    "checks": [{"name": str, "claims": [str], "verdict": str, "evidence": str}],
}  # fmt: skip


def holds(shape: Any, value: Any, where: str = "") -> None:
    if isinstance(shape, dict):
        for key, inner in shape.items():
            assert key in value, f"{where}.{key} is missing"
            holds(inner, value[key], f"{where}.{key}")
    elif isinstance(shape, list):
        assert isinstance(value, list), where
        for entry in value:
            holds(shape[0], entry, f"{where}[]")
    else:
        assert isinstance(value, shape), f"{where} is {value!r}"


def written(recording: Recording) -> dict[str, Any]:
    file = io.StringIO()
    document.write(report(run.measure_and_check(recording)), file)
    found: dict[str, Any] = json.loads(file.getvalue())
    return found


@pytest.mark.parametrize("name", ["blocking", "epoll"])
def test_the_promised_keys_and_sums(name: str, recorded: Callable[[str], Recording]) -> None:
    found = written(recorded(name))
    holds(SHAPE, found)
    assert (found["schema_version"], found["lab"], found["verdict"]) == (2, name, "pass")
    phases = ("wait_ns", "sched_delay_ns", "preempted_ns", "copy_ns", "kernel_ns")
    for row in found["calls"]:
        assert row["total_ns"] == sum(row[phase] for phase in phases)
    for thread in found["threads"]:
        assert thread["wall_ns"] == thread["user_ns"] + sum(thread[phase] for phase in phases)


def test_a_trace_has_the_same_keys_without_a_lab(recorded: Callable[[str], Recording]) -> None:
    found = written(recorded("trace"))
    assert set(SHAPE) <= set(found)
    assert (found["lab"], found["model"], found["checks"], found["overhead"], found["status"]) == (None, None, [], None, 3)
