"""The timeline: its bands, the cells of a window, the window that a report shows of itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from findings.part import Part
from findings.pictures.lanes import Phase
from findings.pictures.timeline import Window, awake_threads, cells, main_phase
from findings.zoom import Zoom, moment
from probes.errors import WrongUsage
from runs.report import report
from tests.conftest import measured


def test_the_cells_of_a_window_add_up_to_the_thread_s_time_in_it() -> None:
    found = report(measured("lock_in_loop")).timeline
    for window in (found.run, Window(found.run.begin + 1_234_567, found.run.begin + 345_678_901)):
        for lane in found.of_thread.values():
            alive = min(lane.thread.end, window.end) - max(lane.thread.start, window.begin)
            for columns in (1, 7, 62, 1_000):
                drawn = cells(lane, window, columns)
                assert len(drawn) == columns and sum(map(sum, drawn)) == max(alive, 0)
                assert max(map(sum, drawn)) <= -(-window.span // columns)


def test_the_default_window_is_the_message_of_the_picture_and_its_lane_shows_the_copy() -> None:
    made = report(measured("blocking"))
    found, scene = made.timeline, made.picture
    assert scene and found.telling == found.typical != found.run
    assert found.telling.begin < scene.message.ready < scene.message.returned + scene.message.probed < found.telling.end
    (lane,) = found.of_thread.values()
    phases = [main_phase(cell) for cell in cells(lane, found.telling, 60)]
    assert phases.index(Phase.ASLEEP) < phases.index(Phase.RUN_QUEUE) < phases.index(Phase.COPY) < phases.index(Phase.USER)
    trace = report(measured("trace")).timeline
    assert trace.telling == trace.run


def test_of_many_threads_those_that_worked_most_have_lanes_and_the_others_are_folded() -> None:
    found = report(measured("thundering_herd")).timeline
    bands = found.bands(found.run, 12)
    assert sum(len(band.lanes) for band in bands) == 12 and sum(len(band.folded) for band in bands) == 45 - 12
    for band in bands:
        busy = [lane.awake(found.run.begin, found.run.end) for lane in (*band.lanes, *band.folded)]
        assert busy == sorted(busy, reverse=True)
    assert sum(len(band.lanes) for band in found.bands(found.run, 50)) == 45


def test_a_folded_lane_counts_the_threads_that_worked() -> None:
    asleep, awake, unknown = ([0] * len(Phase) for _ in range(3))
    asleep[Phase.ASLEEP], awake[Phase.KERNEL], unknown[Phase.NOT_RECORDED] = 5, 5, 5
    assert awake_threads([[asleep, unknown], [awake, unknown], [awake, unknown]]) == [2, None]


def test_a_part_of_the_calls_leaves_no_gap_in_the_lanes() -> None:
    result = measured("lock_in_loop")
    whole, part = report(result).timeline, report(result, Part(calls=("futex",))).timeline
    assert 0 < len(part.of_thread) <= len(whole.of_thread)
    assert all(lane.lengths == whole.of_thread[serial].lengths for serial, lane in part.of_thread.items())


@pytest.mark.parametrize(
    ("begin", "end", "words"),
    [
        ("3s", "", "--from 3s is not before the end of the run, which lasted 1530.1 ms"),
        ("", "-2s", "--to -2s is not after the start"),
        ("20ms", "10ms", "--from 20ms is not before --to 10ms"),
        ("20ms", "20ms", "--from 20ms is not before --to 20ms"),
    ],
)
def test_a_window_without_a_part_of_the_run_is_refused(begin: str, end: str, words: str) -> None:
    zoom = Zoom(moment("from", begin) if begin else None, moment("to", end) if end else None)
    with pytest.raises(WrongUsage, match=words):
        report(measured("blocking")).timeline.window(zoom)


def test_a_window_is_cut_at_the_ends_of_the_run() -> None:
    found = report(measured("blocking")).timeline
    assert found.window(Zoom(moment("from", "-5s"), moment("to", "20s"))) == found.run
    last = found.window(Zoom(moment("from", "-5ms")))
    assert last == Window(found.run.end - 5_000_000, found.run.end)
    assert found.window(Zoom()) == found.telling


@pytest.mark.parametrize("text", ["5", "5 m", "ms", "1e3s", "--3s", "12:30", "0x5s", "\u0665s", ""])
def test_a_time_without_a_unit_is_refused(text: str) -> None:
    with pytest.raises(WrongUsage, match="not a time with a unit"):
        moment("from", text)


def test_a_run_without_threads_has_a_timeline_too() -> None:
    result = measured("blocking")
    found = report(replace(result, threads=(), calls=(), messages=())).timeline
    assert found.bands(found.telling, 12) == ()
