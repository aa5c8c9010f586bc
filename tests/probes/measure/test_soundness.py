"""What each kind of loss voids."""

from __future__ import annotations

import pytest

from probes.kernel.limits import LIMITS
from probes.kernel.records import Kind, Loss
from probes.measure.measure import measure
from probes.measure.soundness import Soundness, Voids
from probes.recording import Missing
from tests.probes.measure.streams import NUMBERS, record, recording


@pytest.mark.parametrize("loss", ["RING_FULL", "THREADS_FULL", "MISSED", "UNMATCHED"])
def test_every_loss_makes_the_run_unsound(loss: str) -> None:
    stream = [record(Kind.THREAD, start=1), record(Kind.EXIT, end=2)]
    assert measure(recording(stream)).events.sound
    assert not measure(recording(stream, **{loss: 1})).events.sound


@pytest.mark.parametrize(
    ("skipped", "sound"),
    [
        ([{"copied": 15, "socket": 1}] * 2, True),
        ([{}], True),  # for example a pipe: no probe reports its reads, and no call accepted or connected it
        ([{"copied": 15, "socket": 1}, {"copied": 15}], False),
        ([{"copied": 15, "socket": 1}, {"socket": 1}], False),
        ([{"copied": 15, "socket": 1}, {}], False),
        ([{"nr": NUMBERS["accept4"], "ret": 7}, {}], False),
        ([{"nr": NUMBERS["accept4"], "ret": 8}, {}], True),
        ([{"copied": 15, "socket": 1}, {"ret": -11}], True),
        ([{"copied": 15, "socket": 1, "copies": 2}], False),
    ],
)
def test_a_skipped_event_counts_where_its_partner_stands_alone(skipped: list[dict[str, int]], sound: bool) -> None:
    read = {"nr": NUMBERS["recvfrom"], "enter": 10, "exit": 20, "ret": 5, "args": (7, 0, 0, 0)}
    stream = [record(Kind.THREAD, start=1), *(record(Kind.CALL, **read | fields) for fields in skipped)]
    stream.append(record(Kind.EXIT, end=30 + 10 * len(skipped), calls=len(skipped)))
    assert measure(recording(stream, PAIRED=3)).events.sound is sound
    stream.insert(1, record(Kind.SOCKET_COPY, socket=1, started=1, copied=2, bytes=5))
    assert not measure(recording(stream, PAIRED=1)).events.sound, "of what io_uring takes nothing else tells"


def test_an_end_alone_is_a_filters_refusal_unless_a_begin_may_have_been_skipped() -> None:
    stream = [record(Kind.THREAD, start=1), record(Kind.EXIT, end=2)]
    assert measure(recording(stream, REFUSED=4)).events.sound
    assert measure(recording(stream, SKIPPED=4)).events.sound
    assert not measure(recording(stream, REFUSED=4, SKIPPED=1)).events.sound


def test_every_loss_has_a_rule_and_the_printed_limits_agree_with_it() -> None:
    assert set(Soundness.VOIDS) == {loss.name for loss in Loss} | set(Missing)
    for limit in LIMITS:
        if limit.counted_as:
            assert limit.inconclusive.partition(":")[0] == Soundness.VOIDS[limit.counted_as].value, limit


@pytest.mark.parametrize("name", [loss.name for loss in Loss if loss is not Loss.UNMATCHED])
def test_a_loss_counts_as_lost_exactly_if_it_voids_a_figure(name: str) -> None:
    stream = [record(Kind.THREAD, start=1), record(Kind.EXIT, end=2)]
    assert measure(recording(stream, **{name: 2})).events.lost == (0 if Soundness.VOIDS[name] is Voids.NOTHING else 2)


@pytest.mark.parametrize(
    ("losses", "needs_room"),
    [
        ({}, False),
        ({"WATCHERS_FULL": 16}, True),
        ({"WATCHERS_FULL": 16, "THREADS_FULL": 1, "UNSEEN": 3}, True),
        ({"WATCHERS_FULL": 16, "RING_FULL": 1}, False),
        ({"WATCHERS_FULL": 16, "UNMATCHED": 1}, False),
        ({"UNSEEN": 3}, False),
    ],
)
def test_only_full_tables_need_more_room(losses: dict[str, int], needs_room: bool) -> None:
    stream = [record(Kind.THREAD, start=1), record(Kind.EXIT, end=2)]
    assert measure(recording(stream, **losses)).events.needs_room is needs_room


def test_a_full_recording_says_so_and_lost_nothing_before() -> None:
    events = measure(recording([record(Kind.THREAD, start=1), record(Kind.EXIT, end=2)], FULL=1)).events
    assert events.full and events.sound
