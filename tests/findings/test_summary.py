"""The figures that several reports show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from findings import summary
from findings.summary import Times
from probes.measure.result import ReadyListEvent
from probes.recording import Recording
from tests.conftest import checked


def test_nothing_has_no_times() -> None:
    assert summary.times([]) == Times(None, None, None)


def test_callbacks_for_other_descriptors_are_counted_and_not_timed(recorded: Callable[[str], Recording]) -> None:
    result = replace(checked("epoll"), listed=None)
    assert summary.ready_list(result) is None
    listed = (ReadyListEvent(thread=1, ready=100, at=1600), ReadyListEvent(thread=1, ready=None, at=9000))
    assert summary.ready_list(replace(result, listed=listed)) == summary.ReadyListFigures(2, Times(1500, 1500, 1500))


def test_messages_are_summed(recorded: Callable[[str], Recording]) -> None:
    figures = summary.messages(checked("epoll"))
    assert (figures.count, figures.bytes) == (69, 69 * 64)
    assert 0 < (figures.ready_to_notified.p50 or 0) <= (figures.ready_to_notified.longest or 0)
