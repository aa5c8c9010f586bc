"""A thinned recording breaks no law: what is left out is as if the kernel side had not reported it."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from probes.kernel.records import Kind, SleepFlag, encode
from probes.measure.measure import measure
from probes.thinning import Thinner
from tests.probes.measure.streams import record


def packed(*items: object) -> bytes:
    return b"".join(map(encode, items))


BIRTH = packed(record(Kind.THREAD, tid=7, ns_tid=7, ns_tgid=7, start=1, comm="server"))
SLEEP = packed(record(Kind.SLEEP, off=10, woken=20, on=20))
CALL = packed(record(Kind.CALL, nr=0, enter=5, exit=30, wait=10, sleeps=1))


def test_all_is_kept_while_all_is_wanted() -> None:
    data = BIRTH + SLEEP + CALL
    assert Thinner().keep(data) is data


def test_a_call_that_is_under_way_keeps_its_sleeps() -> None:
    thinner = Thinner()
    assert thinner.keep(BIRTH + SLEEP) == BIRTH + SLEEP
    thinner.wanted = False
    assert thinner.keep(CALL + SLEEP + CALL) == CALL
    thinner.wanted = True
    assert thinner.keep(SLEEP + CALL + SLEEP + CALL) == SLEEP + CALL, "the first is left out with its sleep"


def test_the_end_of_a_thread_counts_what_is_kept() -> None:
    outside = packed(record(Kind.SLEEP, flags=int(SleepFlag.OUTSIDE), off=40, woken=45, on=46))
    end = record(Kind.EXIT, end=90, calls=1, bursts=6, sleeps=1, wait=5, reported=1, reported_wait=5, made=8)
    burst = packed(record(Kind.BURST, count=3))
    thinner = Thinner()
    thinner.wanted = False
    kept = thinner.keep(BIRTH + SLEEP + CALL + outside + burst + packed(end) + burst)
    assert kept == BIRTH + packed(end._replace(calls=0, bursts=3, reported=0, reported_wait=0)) + burst


@pytest.mark.parametrize("name", ["faults/convoy-right", "faults/leaks-children", "pausing_client"])
def test_a_thinned_recording_breaks_no_law(recorded: object, name: str) -> None:
    from probes.kernel import records
    from tests.conftest import recording_of

    recording = recording_of(name)
    items = list(records.decode(recording.data, recording.layouts))
    data = b"".join(_of_today(item) for item in items)
    thinner, kept = Thinner(), b""
    sizes = [records.LAYOUTS[Kind(item.kind)].codec.size for item in items]
    ends = list(itertools.accumulate(sizes))
    for number, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
        thinner.wanted = number // 40 % 2 == 0
        kept += thinner.keep(data[start:end])
    whole = measure(recording)
    part = measure(dataclasses.replace(recording, data=kept, layouts=records.LAYOUTS))
    assert len(kept) < len(data) and part.details.recorded < whole.details.recorded
    assert part.events.unmatched == whole.events.unmatched == 0, part.events.reasons
    assert part.sums == whole.sums and part.details.of == whole.details.of


def _of_today(item: object) -> bytes:
    """The record with the fields of today, those that it lacks zero."""
    fields = item._asdict()  # type: ignore[attr-defined]
    return encode(record(Kind(fields.pop("kind")), **fields))
