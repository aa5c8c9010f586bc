"""Flame graphs: the stacks hold the time asleep to the nanosecond, and both formats can be read again."""

from __future__ import annotations

import dataclasses
import io
import json
import re

import pytest

from probes.recording import load
from reports.export import flame
from runs.lab import measure_and_check
from runs.report import Report, report
from tests.conftest import DATA


def loaded(name: str) -> Report:
    return report(measure_and_check(load(DATA / f"{name}.iolab")))


@pytest.mark.parametrize("name", ["budget", "lock_in_loop", "threads"])
def test_the_stacks_hold_all_time_asleep_and_on_the_run_queue(name: str) -> None:
    found = loaded(name)
    asleep = sum(ns for stack, ns in flame.stacks(found).items() if len(stack) == 4)
    assert asleep == sum(thread.wait for thread in found.whole.threads)
    waiting = sum(ns for stack, ns in flame.stacks(found).items() if len(stack) == 3)
    assert 0 < waiting <= sum(thread.sched_delay for thread in found.whole.threads)


def test_the_stack_says_role_call_queue_and_waker() -> None:
    (first, *_) = flame.stacks(loaded("threads"))
    assert re.fullmatch(r"6 connection threads of threads \d+", first[0])
    assert first[1:] == ("recvfrom", "asleep: socket", "woken by python over TCP")


def test_speedscope_is_balanced_and_its_frames_exist() -> None:
    found, file = loaded("budget"), io.StringIO()
    flame.write_speedscope(found, file)
    document = json.loads(file.getvalue())
    (profile,) = document["profiles"]
    assert profile["type"] == "sampled" and profile["unit"] == "nanoseconds"
    assert len(profile["samples"]) == len(profile["weights"]) and sum(profile["weights"]) == profile["endValue"]
    frames = document["shared"]["frames"]
    assert {index for sample in profile["samples"] for index in sample} == set(range(len(frames)))


def test_a_hostile_name_ends_neither_a_frame_nor_a_line() -> None:
    of, file = loaded("budget").whole, io.StringIO()
    threads = tuple(dataclasses.replace(thread, name="a;b\n9 \x1b") for thread in of.threads)
    hostile = report(dataclasses.replace(of, threads=threads))
    flame.write_folded(hostile, file)
    lines = file.getvalue().splitlines()
    assert len(lines) == len(flame.stacks(hostile)) and "a\\x3bb\\n9 \\x1b" in file.getvalue()
    assert all(line.count(";") in (2, 3) and line.rpartition(" ")[2].isdigit() for line in lines)
