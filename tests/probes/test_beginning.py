"""The first calls of a recording: as if the kernel side had reported no more."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from probes.beginning import Records
from probes.context import TraceRun
from probes.kernel.records import LAYOUTS, Kind, encode
from probes.measure.measure import measure
from probes.recording import Recording, load
from tests.probes.measure.streams import record

NAME = "faults/convoy-right"


@pytest.fixture
def saved(recorded: Callable[[str], Recording], tmp_path: Path) -> Path:
    recording = recorded(NAME)
    assert isinstance(recording.context, TraceRun) and Kind.SUM in recording.layouts
    recording.save(str(tmp_path / "all.iolab"))
    return tmp_path / "all.iolab"


@pytest.mark.parametrize("most", [0, 1, 30, 200])
def test_the_first_calls_break_no_law_and_the_sums_are_those_of_all_calls(saved: Path, most: int) -> None:
    whole, part = measure(load(saved)), measure(load(saved, most))
    assert part.events.unmatched == 0 and part.events.sound == whole.events.sound
    assert len(part.calls) <= most + len(whole.threads) and len(part.calls) < len(whole.calls)
    assert {row.name: row.count for row in part.rows} == {row.name: row.count for row in whole.rows}
    assert part.details.left_out == part.details.of - part.details.recorded > 0
    assert [thread.wait for thread in part.threads] == [thread.wait for thread in whole.threads]
    kept = {(call.thread, call.enter) for call in part.calls}
    for _, end in part.details.windows:
        assert all((call.thread, call.enter) in kept for call in whole.calls if call.exit <= end)


def test_a_recording_with_fewer_calls_is_read_whole(saved: Path) -> None:
    whole, part = load(saved), load(saved, 1_000_000)
    assert part.data == whole.data and part.windows == whole.windows and part.left_out == 0
    assert measure(part).details.complete


def test_a_lab_keeps_all_calls(recorded: Callable[[str], Recording], tmp_path: Path) -> None:
    recorded("epoll").save(str(tmp_path / "lab.iolab"))
    assert load(tmp_path / "lab.iolab", 10).left_out == 0, "its checks are about all calls"


def test_records_may_be_cut_anywhere_between_two_pieces() -> None:
    call = encode(record(Kind.CALL, enter=5, exit=30))
    data = encode(record(Kind.THREAD, start=1)) + 5 * call + encode(record(Kind.EXIT, calls=5, end=90, made=5))
    kept = set()
    for cut in range(0, len(data), 7):
        records = Records(2)
        records.begin(LAYOUTS)
        records.add(data[:cut])
        records.add(data[cut:])
        assert records.left_out == 2 and len(records.data) == len(data) - 2 * len(call) == len(data) - records.missing
        assert records.windows(()) == ((1, 30),)
        kept.add(records.data)
    assert len(kept) == 1


def test_the_windows_end_where_the_calls_do(recorded: Callable[[str], Recording]) -> None:
    recording = dataclasses.replace(recorded(NAME), left_out=7)
    assert measure(recording).details.left_out == 7
