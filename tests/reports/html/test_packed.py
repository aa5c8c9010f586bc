"""What a page embeds of the lanes: read again here as timeline.js reads it, it is what was packed."""

from __future__ import annotations

import base64
import itertools
import zlib

import pytest

from findings.pictures.lanes import Lane, Phase
from reports.html import packed
from reports.html.packed import Packed, pack
from runs.report import report
from tests.conftest import measured


def columns(data: Packed) -> dict[str, list[int]]:
    raw, at, found = zlib.decompress(base64.b64decode(data.data)), 0, {}
    for name, length, places in data.columns:
        planes = [raw[at + place * length : at + (place + 1) * length] for place in range(places)]
        found[name] = [sum(plane[i] << (8 * place) for place, plane in enumerate(planes)) for i in range(length)]
        at += places * length
    assert at == len(raw)
    return found


def signed(number: int) -> int:
    return -(number + 1) // 2 if number % 2 else number // 2


@pytest.mark.parametrize("name", ["blocking", "threads", "nonblocking", "lock_in_loop", "budget", "io_uring"])
def test_what_is_read_is_what_was_packed(name: str) -> None:
    found = report(measured(name)).timeline
    lanes = list(found.of_thread.values())
    data = pack(found, lanes, str)
    read = columns(data)
    assert read["length"] == [length for lane in lanes for length in lane.lengths] and data.step == 0
    assert read["phase"] == [phase for lane in lanes for phase in lane.phases]
    assert [data.names[number] for number in read["name"]] == [call.name for lane in lanes for call in lane.calls]
    calls = [call for lane in lanes for call in lane.calls]
    fds = [signed(number) - 1 if number else None for number in read["fd"]]
    assert fds == [None if call.fd == -1 else call.fd for call in calls]
    for call, code in zip(calls, read["result"], strict=True):
        assert (code == 0) == (call.result is None)
        assert code < 2 or signed(code - 2) == call.result
        assert not call.errno or data.errors[str(call.result)] == call.errno
    assert len(read["queue"]) == len(read["cause"]) == read["phase"].count(Phase.ASLEEP)
    assert [each["start"] for each in data.lanes] == [lane.thread.start - found.run.begin for lane in lanes]
    first = list(firsts(lanes, read))
    assert first == [number for lane in lanes for number in lane.firsts]


def firsts(lanes: list[Lane], read: dict[str, list[int]]) -> itertools.chain[int]:
    def of_lane(begin: int, end: int) -> list[int]:
        at, found = 0, []
        for gap, parts in zip(read["gap"][begin:end], read["parts"][begin:end], strict=True):
            found.append(at + gap)
            at += gap + parts
        return found

    ends = list(itertools.accumulate((len(lane.calls) for lane in lanes), initial=0))
    return itertools.chain.from_iterable(of_lane(begin, end) for begin, end in itertools.pairwise(ends))


def test_a_run_with_too_many_calls_is_shown_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "MOST_CALLS", 100)
    monkeypatch.setattr(packed, "_CELLS", 500)
    found = report(measured("lock_in_loop")).timeline
    lanes = list(found.of_thread.values())
    data = pack(found, lanes, str)
    read = columns(data)
    assert data.step > 0 and not read["name"] and len(read["length"]) < 500 * len(Phase)
    assert sum(read["length"]) == sum(lane.thread.wall for lane in lanes)
    asleep = sum(length for length, phase in zip(read["length"], read["phase"], strict=True) if phase == Phase.ASLEEP)
    assert asleep == sum(call.wait for lane in lanes for call in lane.calls)


def test_data_that_would_make_the_page_too_large_is_shown_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    found = report(measured("threads")).timeline
    lanes = list(found.of_thread.values())
    assert pack(found, lanes, str).step == 0
    monkeypatch.setattr(packed, "_MOST_BYTES", 2_000)
    assert pack(found, lanes, str).step > 0


def test_data_that_is_a_little_too_large_has_rounded_times(monkeypatch: pytest.MonkeyPatch) -> None:
    found = report(measured("threads")).timeline
    lanes = list(found.of_thread.values())
    exact = pack(found, lanes, str)
    monkeypatch.setattr(packed, "_MOST_BYTES", 9 * len(exact.data) // 10)
    data = pack(found, lanes, str)
    assert exact.grain == 1 < data.grain <= 16 and not data.step and len(data.data) <= 9 * len(exact.data) // 10
    fine, rounded = columns(exact), columns(data)
    assert all(rounded[name] == fine[name] for name in ("phase", "gap", "parts", "name", "result", "cause"))
    for name in ("length", "copied"):
        pairs = zip(fine[name], rounded[name], strict=True)
        assert all(abs(data.grain * coarse - length) < 2 * data.grain for length, coarse in pairs), name
    at = 0
    for lane, about in zip(lanes, data.lanes, strict=True):
        end = data.grain * (about["start"] + sum(rounded["length"][at : at + about["segments"]]))
        assert 0 <= lane.thread.end - found.run.begin - end < data.grain, "the errors add up"
        at += about["segments"]
