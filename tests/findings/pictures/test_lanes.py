"""Lanes: they cover each thread's life, agree with the exact accounts, and never call unknown time asleep."""

from __future__ import annotations

import collections
from dataclasses import replace

import pytest

import labs
from findings.pictures.lanes import Lane, Phase, lanes, wake_ups
from probes.measure.result import Result
from tests.conftest import measured


def sums(lane: Lane) -> dict[Phase, int]:
    found: collections.Counter[int] = collections.Counter()
    for length, phase in zip(lane.lengths, lane.phases, strict=True):
        found[phase] += length
    return {phase: found[phase] for phase in Phase}


@pytest.mark.parametrize("name", [*labs.names(), "trace", "lock_in_loop", "pausing_client"])
def test_the_lanes_have_the_figures_of_the_accounts(name: str) -> None:
    for lane in lanes(measured(name)).values():
        thread, found = lane.thread, sums(lane)
        assert sum(found.values()) == thread.wall
        assert found[Phase.ASLEEP] == sum(call.wait for call in lane.calls)
        single = [call for call in lane.calls if call.histogram is None]
        assert found[Phase.PREEMPTED] == sum(call.preempted for call in single)
        assert found[Phase.NOT_RECORDED] == (thread.wall if thread.kernel_worker else 0)
        if len(single) == len(lane.calls):
            assert found[Phase.KERNEL] + found[Phase.COPY] == sum(call.kernel + call.copy for call in single)


def test_a_time_without_details_is_not_recorded_and_never_asleep() -> None:
    """The recording has the calls of the first window; then the main thread goes on, and a second thread lives."""
    result = measured("budget")
    main, second = lanes(result).values()
    (_, end) = result.details.windows[0]
    last = main.calls[-1]
    assert last.enter > end > main.calls[-2].exit, "the last recorded call began after the end of the window"
    assert [phase for _, _, phase in main.within(last.exit, main.thread.end)] == [Phase.NOT_RECORDED]
    assert sums(second)[Phase.NOT_RECORDED] == second.thread.wall


def test_between_two_windows_nothing_is_known_and_in_each_window_the_user_code() -> None:
    result = cut_to_windows(measured("blocking"))
    (lane,) = lanes(result).values()
    begin, end = result.details.windows[0]
    found = [phase for _, _, phase in lane.within(end, result.details.windows[1][0])]
    assert found.count(Phase.NOT_RECORDED) == 1 and Phase.USER not in found
    assert Phase.USER in [phase for _, _, phase in lane.within(begin, end)]
    assert sum(lane.lengths) == lane.thread.wall


def cut_to_windows(result: Result) -> Result:
    """The run as if calls had been recorded one by one in two windows only."""
    calls = result.calls
    windows = ((calls[0].enter - 1, calls[40].enter), (calls[100].enter, calls[130].enter))
    kept = tuple(call for call in calls if any(begin <= call.enter <= end for begin, end in windows))
    details = replace(result.details, recorded=len(kept), of=len(calls), windows=windows)
    return replace(result, calls=kept, details=details)


def test_with_lost_events_the_time_between_calls_is_not_known() -> None:
    result = measured("blocking")
    lost = replace(result, calls=result.calls[::2], events=replace(result.events, lost=len(result.calls) // 2))
    (lane,) = lanes(lost).values()
    assert not sums(lane)[Phase.USER] and sums(lane)[Phase.NOT_RECORDED]


def test_a_burst_goes_on_after_a_call_on_another_descriptor() -> None:
    (lane,) = lanes(measured("nonblocking")).values()
    found = sums(lane)
    assert found[Phase.BURST] > 0.9 * lane.thread.wall and not found[Phase.ASLEEP]


def test_each_wake_up_is_at_the_end_of_its_sleep() -> None:
    (lane,) = lanes(measured("blocking")).values()
    woken = list(wake_ups(lane, lane.thread.start, lane.thread.end))
    assert len(woken) == lane.phases.count(Phase.ASLEEP) > 60
    ends = {high for _, high, phase in lane.within(lane.thread.start, lane.thread.end) if phase is Phase.ASLEEP}
    assert {each.sleep.woken for each in woken} == ends
