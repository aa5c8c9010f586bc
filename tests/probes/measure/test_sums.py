"""Both tiers: the sums of the kernel side against the calls that were reported one by one."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from probes.kernel.records import OTHERS, SUM_BUCKETS, Kind, Outcome
from probes.measure.measure import measure
from probes.measure.result import PHASES, Result
from probes.measure.sums import percentiles_of
from tests.probes.measure.streams import NUMBERS, STACKS, as_it_is, life, record, recording, rows, summed

SUMMED = ("count", "bytes", "errors", *PHASES)


def measured(stream: list[Any]) -> Result:
    return measure(recording(stream))


@given(life())
@settings(deadline=None)
def test_where_all_calls_are_reported_both_tiers_agree(stream: list[Any]) -> None:
    result = measured(stream + rows(stream))
    assert result.events.sound, result.events
    assert result.details.complete
    assert sum(row.count for row in result.sums) == result.details.of == sum(call.count for call in result.calls)


@given(life(), st.data())
@settings(deadline=None)
def test_a_row_that_differs_by_one_is_found(stream: list[Any], data: st.DataObject) -> None:
    made = rows(stream)
    assume(made)
    index = data.draw(st.integers(0, len(made) - 1))
    figure = data.draw(st.sampled_from(("count", "bytes", "total", "wait", "delay", "preempted", "copy")))
    made[index] = made[index]._replace(**{figure: getattr(made[index], figure) + 1})
    assert not measured(stream + made).events.sound


@given(life())
@settings(deadline=None)
def test_the_table_is_the_same_where_no_call_is_reported(stream: list[Any]) -> None:
    """Only the percentiles differ: they are upper bounds, at most a quarter too long."""
    whole = measured(stream)
    end = next(item for item in summed(stream) if item.kind == Kind.EXIT)
    alone = [stream[0], end._replace(calls=0, bursts=0, reported=0, reported_wait=0), *rows(stream)]
    summed_only = measure(as_it_is(alone))
    assert summed_only.events.sound, summed_only.events
    assert summed_only.details.recorded == 0
    assert [_figures(row) for row in summed_only.rows] == [_figures(row) for row in whole.rows]
    for exact, bound in zip(whole.rows, summed_only.rows, strict=True):
        assert bound.p_quality.value == "bounded"
        if exact.p_quality.value == "measured":
            assert exact.p50 <= bound.p50 <= max(1.25 * exact.p50, 80)
    (thread,), (same,) = whole.threads, summed_only.threads
    assert dataclasses.replace(same, slept_on=thread.slept_on) == thread


def _figures(row: Any) -> tuple[Any, ...]:
    return (row.name, *(getattr(row, name) for name in SUMMED))


def test_percentiles_of_a_histogram_end_at_the_longest() -> None:
    histogram = [0] * SUM_BUCKETS
    histogram[0], histogram[4] = 98, 2
    assert percentiles_of(histogram, 130, 0.5, 0.99) == [80, 130]
    assert percentiles_of([0] * SUM_BUCKETS, 0, 0.5) == [0]


def test_a_sleep_says_how_many_of_its_stacks_were_walked() -> None:
    stream = [
        record(Kind.THREAD, start=1),
        record(Kind.EXIT, end=500, made=16, in_total=400, in_wait=320, in_sleeps=16),
        record(Kind.SUM, nr=NUMBERS["recvfrom"], outcome=Outcome.DONE, count=16, total=400, wait=320, sleeps=16, longest=25,
               buckets=(16, *[0] * (SUM_BUCKETS - 1))),
        record(Kind.SLEEP_SUM, nr=NUMBERS["recvfrom"], stack=1, waker_stack=2, count=16, wait=320, longest=20, walked=1,
               waker_walked=1),
    ]  # fmt: skip
    (row,) = measured(stream).rows
    (slept,) = row.slept_on
    assert (slept.count, slept.ns, slept.longest, slept.walked) == (16, 320, 20, 1)
    assert STACKS[1][-1] == "do_epoll_wait" and slept.queue == "epoll"


def test_interrupts_make_one_row_whatever_task_they_met() -> None:
    """The frames of the task that was interrupted differ each time, and say nothing of the sleeps."""
    timer = ("try_to_wake_up", "hrtimer_wakeup", "asm_sysvec_apic_timer_interrupt")
    stacks = {
        9: (*timer, "vfs_write", "do_syscall_64"),
        10: (*timer, "do_idle"),
        11: ("try_to_wake_up", "pipe_write", "do_idle"),
    }
    histogram = (1,) + (0,) * (SUM_BUCKETS - 1)
    sleeps = [
        record(
            Kind.SLEEP_SUM, nr=-1, flags=0, stack=1, waker_stack=stack, count=1, wait=5, delay=1, longest=stack, walked=1,
            waker_walked=1, waker_comm="worker", buckets=histogram,
        )
        for stack in stacks
    ]  # fmt: skip
    stream = [record(Kind.THREAD, comm="t"), *sleeps, record(Kind.EXIT, end=100, wait=15, delay=3, sleeps=3)]
    result = measure(dataclasses.replace(as_it_is(stream), stacks=STACKS | stacks))
    by_timer, by_pipe = result.sleep_sums
    assert (by_timer.count, by_timer.wait, by_timer.sched_delay, by_timer.longest, by_timer.histogram[0]) == (2, 10, 2, 10, 2)
    assert by_timer.waker and by_timer.waker.stack == (*timer, "(the interrupted task)")
    assert by_pipe.count == 1 and by_pipe.waker and by_pipe.waker.stack == stacks[11]


def test_threads_without_an_account_are_counted_together() -> None:
    others = record(Kind.OTHERS, thread=OTHERS, threads=3, wall=100, made=5, wait=50, kernel=20)
    row = record(Kind.SUM, thread=OTHERS, nr=NUMBERS["getpid"], outcome=Outcome.DONE, count=5, total=20, longest=4,
                 buckets=(5, *[0] * (SUM_BUCKETS - 1)))  # fmt: skip
    result = measured([record(Kind.THREAD, start=1), record(Kind.EXIT, end=2), others, row])
    assert result.events.sound
    assert result.others and (result.others.threads, result.others.user) == (3, 30)
    assert [(row.name, row.count) for row in result.rows] == [("getpid", 5)]


@pytest.mark.parametrize("status, ending", [(0, (0, 0)), (3 << 8, (3, 0)), (13, (0, 13)), (11 | 128, (0, 11))])
def test_a_thread_says_how_it_ended(status: int, ending: tuple[int, int]) -> None:
    (thread,) = measured([record(Kind.THREAD, start=1), record(Kind.EXIT, end=2, status=status)]).threads
    assert thread.ended_by and (thread.ended_by.status, thread.ended_by.signal) == ending
    (alive,) = measured([record(Kind.THREAD, start=1), record(Kind.EXIT, end=2, alive=1)]).threads
    assert alive.ended_by is None
