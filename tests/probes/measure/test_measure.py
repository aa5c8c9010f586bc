"""From a recording to a Result: the conservation laws on random lives."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings

from probes.kernel.records import Kind
from probes.measure.measure import measure
from probes.measure.result import ReadyListEvent
from probes.recording import Probe, Quality
from tests.probes.measure.streams import NUMBERS, PROBES, life, record, recording


@given(life())
@settings(deadline=None)
def test_calls_and_threads_add_up_exactly(stream: list[Any]) -> None:
    result = measure(recording(stream))
    assert result.events.sound, result.events
    everything: list[Any] = [*result.calls, *result.rows]
    for row in everything:
        assert row.total == row.wait + row.sched_delay + row.preempted + row.copy + row.kernel
        assert min(row.total, row.wait, row.sched_delay, row.preempted, row.copy, row.kernel) >= 0
    for call in result.calls:
        assert call.wait == sum(sleep.wait for sleep in call.sleeps)
        assert call.sched_delay == sum(sleep.delay for sleep in call.sleeps) or call.histogram
    for thread in result.threads:
        assert thread.wall == thread.user + thread.wait + thread.sched_delay + thread.preempted + thread.copy + thread.kernel
        assert thread.user >= 0
        assert thread.calls == sum(row.count for row in result.rows)


def test_epolls_callbacks_are_the_threads_that_added_what_they_watch() -> None:
    listed = recording([record(Kind.THREAD, start=1), record(Kind.READY_LIST, ready=40, at=50), record(Kind.READY_LIST, at=20)])
    assert measure(listed).listed is None, "no probe, no answer"
    probe = Probe("epoll's callback", "fentry:ep_poll_callback", Quality.MEASURED)
    probed = measure(dataclasses.replace(listed, probes=(*PROBES, probe)))
    assert probed.listed == (
        ReadyListEvent(1, None, 20),
        ReadyListEvent(1, 40, 50),
    )


@pytest.mark.parametrize("counted", [True, False])
def test_figures_that_no_probe_counts_are_none(counted: bool) -> None:
    attached = "fentry:sock_poll" if counted else None
    probes = (*PROBES, Probe("poll methods", attached, Quality.MEASURED if counted else Quality.UNAVAILABLE))
    polled = recording([record(Kind.THREAD, start=1), record(Kind.CALL, nr=NUMBERS["poll"], enter=10, exit=20, polled=5)])
    result = measure(dataclasses.replace(polled, probes=probes))
    assert result.calls[0].polled == result.rows[0].polled == (5 if counted else None)
    assert (result.rows[0].queued, result.listed) == (None, None)
