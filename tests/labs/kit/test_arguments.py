"""What select and poll leave in their arguments, and what the labs would say of a kernel that left something else."""

from __future__ import annotations

from typing import Any

import pytest

from labs.kit import arguments
from probes.measure.result import Verdict
from tests.conftest import checked_with, lab_run, recording_of
from tests.labs.kit.beside import beside

SETS = "every call copies the descriptor sets in, and overwrites them and its time-out"
ARRAY = "poll keeps events and revents apart, and every call copies the whole array"
UNLIMITED = "poll takes any descriptor, and any number of them"


def test_select_overwrites_its_set_and_its_time_out() -> None:
    found = beside(arguments.of_select)["overwritten"]
    assert (found["named"], found["left"], found["again"], found["expired_left_us"]) == (2, 1, 0, 0)
    assert 0 < found["time_left_us"] < found["time_out_us"]


def test_poll_keeps_its_array_and_takes_high_numbers() -> None:
    found = beside(arguments.of_poll)["kept"]
    assert (found["events"], found["revents"], found["first"], found["again"]) == (1, 1, 1, 1)
    assert found["high_ready"] == bool(found["high"])
    assert found["many_ready"] == found["many"]
    assert found["refused"] == "EINVAL"


@pytest.mark.parametrize(
    ("lab", "check", "key", "change", "verdict"),
    [
        ("select", SETS, "overwritten", {}, Verdict.CONFIRMED),
        ("select", SETS, "overwritten", {"left": 2}, Verdict.FAILED),
        ("select", SETS, "overwritten", {"again": 1}, Verdict.FAILED),
        ("select", SETS, "overwritten", {"time_left_us": 10_000_000}, Verdict.FAILED),
        ("select", SETS, "overwritten", {"expired_left_us": 20_000}, Verdict.FAILED),
        ("select", "the kernel sends the process a signal when data comes", "signals", {}, Verdict.REFUTED),
        ("select", "the kernel sends the process a signal when data comes", "signals", {"pending": 1}, Verdict.CONFIRMED),
        ("poll", ARRAY, "kept", {}, Verdict.CONFIRMED),
        ("poll", ARRAY, "kept", {"events": 0}, Verdict.FAILED),
        ("poll", ARRAY, "kept", {"again": 0}, Verdict.FAILED),
        ("poll", UNLIMITED, "kept", {}, Verdict.REFINED),
        ("poll", UNLIMITED, "kept", {"refused": ""}, Verdict.CONFIRMED),
        ("poll", UNLIMITED, "kept", {"many_ready": 1024}, Verdict.FAILED),
        ("poll", UNLIMITED, "kept", {"high": 0}, Verdict.UNAVAILABLE),
    ],
)
def test_the_arguments_decide(lab: str, check: str, key: str, change: dict[str, Any], verdict: Verdict) -> None:
    aside = lab_run(recording_of(lab)).aside
    judged = checked_with(lab, aside={**aside, key: {**aside[key], **change}})
    assert [each.verdict for each in judged.checks if each.name == check] == [verdict]
