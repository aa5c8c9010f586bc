"""Snapshots of the sums: when they are due, and what a reader takes of them."""

from __future__ import annotations

import struct

import pytest

from probes import bounds
from probes.snapshots import Latest, Schedule, payloads

SECOND = 10**9


def times(hours: int, size: int) -> list[int]:
    schedule, found = Schedule(SECOND), []
    for second in range(1, hours * 3600):
        if schedule.is_due(second * SECOND):
            schedule.taken(second * SECOND, size)
            found.append(second - 1)
    return found


def test_snapshots_come_less_often_as_the_time_goes_on() -> None:
    assert times(1, 1000)[:9] == [1, 2, 4, 8, 16, 26, 36, 46, 56]
    assert len(times(24, 1000)) < 80
    assert times(24, 2 << 20) == [2**number for number in range(17)], "large ones"


def test_the_last_whole_snapshot_counts() -> None:
    latest = Latest()
    first, second = payloads([b"one", b"two"], 5, 9), payloads([b"three", b"four"], 5, 19)
    for payload in first:
        latest.add(payload)
    latest.add(next(second))
    assert (latest.rows, latest.ns) == (b"onetwo", 4), "the second is not whole yet"
    latest.add(next(second))
    assert (latest.rows, latest.ns) == (b"threefour", 14)


@pytest.mark.parametrize("header", [(5, 9, 1, 2), (5, 9, 0, 0), (9, 5, 0, 1)])
def test_a_part_that_does_not_belong_is_refused(header: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="missing"):
        Latest().add(struct.pack("<QQII", *header))
    with pytest.raises(ValueError, match="missing"):
        Latest().add(b"short")


def test_a_snapshot_has_a_bound() -> None:
    latest, most = Latest(), bounds.SUMS // bounds.PIECE
    for number in range(most):
        latest.add(struct.pack("<QQII", 5, 9, number, most + 1) + bytes(bounds.PIECE))
    with pytest.raises(ValueError, match="too large"):
        latest.add(struct.pack("<QQII", 5, 9, most, most + 1) + b"1")
