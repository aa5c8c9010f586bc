"""What reports say about the part of a timeline that was not recorded."""

from __future__ import annotations

import dataclasses

from findings.pictures.lanes import Phase
from findings.pictures.timeline import Window
from reports.timeline import not_recorded
from tests.conftest import reported


def test_a_run_that_was_recorded_whole_has_no_such_sentence() -> None:
    found = reported("blocking").timeline
    assert not_recorded(found, found.of_thread.values(), found.run, "?") == ""


def test_the_share_is_that_of_the_threads_in_the_window() -> None:
    found = reported("budget").timeline
    lanes = list(found.of_thread.values())
    assert not_recorded(found, iter(lanes), found.run, "?") == not_recorded(found, lanes, found.run, "?")  # read once
    words = not_recorded(found, lanes, found.run, "The hatched part")
    unknown = sum(lane.spent(found.run.begin, found.run.end)[Phase.NOT_RECORDED] for lane in lanes)
    assert f"The hatched part is {100 * unknown / sum(lane.thread.wall for lane in lanes):.1f} % of this time: " in words
    assert "152 of 1,059 calls were recorded one by one; the threads may have worked or slept there" in words
    lane = max(lanes, key=lambda lane: len(lane.calls))
    first = next(length for length, phase in zip(lane.lengths, lane.phases, strict=True) if phase != Phase.NOT_RECORDED)
    assert not_recorded(found, [lane], Window(lane.thread.start, lane.thread.start + first), "?") == ""


def test_a_worker_of_the_kernel_makes_no_calls() -> None:
    found = reported("budget").timeline
    all_recorded = dataclasses.replace(found, recorded=found.of)
    assert "workers of the kernel make no calls" in not_recorded(all_recorded, found.of_thread.values(), found.run, "?")
