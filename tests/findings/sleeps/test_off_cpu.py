"""Off-CPU time: every sleep is in one row, from the kernel's sums or from the sleeps one by one."""

from __future__ import annotations

import dataclasses

import pytest

from findings.sleeps.off_cpu import off_cpu
from tests.conftest import reported


@pytest.mark.parametrize("name", ["pausing_client", "faults/chain-threads"])
def test_the_rows_add_up_to_the_sums_of_the_kernel(name: str) -> None:
    report = reported(name)
    rows = off_cpu(report.result, report.groups, report.result.threads)
    sums = report.result.sleep_sums
    assert sums and sum(row.ns for row in rows) == sum(row.wait for row in sums)
    assert sum(row.count for row in rows) == sum(row.count for row in sums)
    assert [row.ns for row in rows] == sorted((row.ns for row in rows), reverse=True)
    keys = [(row.group and row.group.words, row.group and row.group.process, row.call, row.queue, row.cause) for row in rows]
    assert len(set(keys)) == len(keys)


def test_without_sums_the_sleeps_count_one_by_one() -> None:
    report = reported("faults/chain-threads")
    result = dataclasses.replace(report.result, sleep_sums=())
    rows = off_cpu(result, report.groups, result.threads)
    inside = [row for row in rows if row.call]
    sleeps = [sleep for call in result.calls for sleep in call.sleeps]
    assert sum(row.count for row in inside) == len(sleeps)
    assert sum(row.ns for row in inside) == sum(sleep.wait for sleep in sleeps)
    assert sum(row.delay or 0 for row in inside) == sum(sleep.delay for sleep in sleeps)
    assert all(row.delay is None for row in rows if row.call is None), "no record says how long they waited for a CPU"


def test_threads_of_no_group_have_rows_of_their_own() -> None:
    report = reported("faults/chain-threads")
    rows = off_cpu(report.result, (), report.result.threads)
    assert rows and all(row.group is None for row in rows)
