"""Threads without a record of their end: their totals come from their latest state and from the sums of their calls."""

from __future__ import annotations

from typing import Any

import pytest

from probes.kernel.records import SUM_BUCKETS, Kind, Off, Outcome
from probes.measure.cut import Inside, end_of, inside_of
from probes.measure.life import Life
from probes.measure.measure import measure
from probes.measure.rows import CallSum
from tests.probes.measure.streams import NUMBERS, as_it_is, record

ROW = CallSum(1, "read", None, Outcome.DONE, 3, 30, 400, 300, 20, 10, 5, 2, 1, 200, (3,))
OTHER = CallSum(1, "write", None, Outcome.DONE, 1, 10, 50, 0, 0, 0, 8, 0, 0, 50, (1,))


def state(**values: Any) -> Any:
    """The thread's state at 1000 ns, with 350 ns asleep, 25 ns waiting for a CPU and 10 ns preempted until then."""
    return record(Kind.STATE, **{"at": 1000, "wait": 350, "delay": 25, "preempted": 10, "made": 4} | values)


def life() -> Life:
    return Life(record(Kind.THREAD, start=100), "worker")


def test_rows_add_up_to_the_figures_inside_calls() -> None:
    assert inside_of([ROW, OTHER]) == Inside(4, 450, 300, 20, 10, 13, 2, 1)
    assert inside_of([]) == Inside(0, 0, 0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("off", "wait", "delay", "preempted"),
    [
        ({"off": Off.ON_CPU}, 50, 5, 0),
        ({"off": Off.ASLEEP, "off_at": 900}, 150, 5, 0),  # not woken until then
        ({"off": Off.ASLEEP, "off_at": 900, "woken_at": 960}, 110, 45, 0),  # woken, and not on a CPU yet
        ({"off": Off.ASLEEP, "off_at": 900, "woken_at": 700}, 150, 5, 0),  # the wake-up of the sleep before
        ({"off": Off.PREEMPTED, "off_at": 930}, 50, 5, 70),
        ({"off": Off.NEWBORN, "off_at": 990}, 50, 15, 0),
    ],
)
def test_what_the_thread_was_in_counts_as_outside_of_calls(off: dict[str, int], wait: int, delay: int, preempted: int) -> None:
    end = end_of(state(**off), [ROW], life())
    assert (end.end, end.wait, end.delay, end.preempted) == (1000, wait, delay, preempted)
    assert end.alive and end.thread == 1


def test_without_a_state_the_thread_ends_with_its_last_call() -> None:
    assert end_of(None, [ROW], life()).end == 100


def test_a_recording_that_was_cut_off_keeps_the_laws_of_its_threads() -> None:
    """The calls themselves are missing; their sums and the thread's state are in the file."""
    row = record(Kind.SUM, nr=NUMBERS["read"], outcome=Outcome.DONE, count=4, bytes=40, total=400, wait=300, delay=20, sleeps=2,
                 longest=200, buckets=(4, *[0] * (SUM_BUCKETS - 1)))  # fmt: skip
    result = measure(as_it_is([record(Kind.THREAD, start=100), row, state(off=Off.ASLEEP, off_at=900)]))
    (thread,) = result.threads
    assert (thread.calls, thread.end, thread.wait, thread.sched_delay, thread.kernel) == (4, 1000, 450, 25, 80)
    assert thread.user + thread.wait + thread.sched_delay + thread.preempted + thread.copy + thread.kernel == thread.wall
    assert result.events.reasons == {"a thread without an end": 1}
