"""No kernel address stays in a record, and equal addresses stay equal, also over several pieces of a stream."""

from __future__ import annotations

from typing import Any

import pytest

from probes.addresses import Ordinals, without_addresses
from probes.kernel import records
from probes.kernel.records import STACK_FRAMES, Kind
from tests.probes.measure.streams import record

ADDRESS = 0xFFFFFFFF81234567
STREAM = [
    record(Kind.CALL, socket=ADDRESS),
    record(Kind.STACK, id=ADDRESS, depth=2, frames=(ADDRESS, ADDRESS + 8) + (0,) * (STACK_FRAMES - 2)),
    record(Kind.SLEEP, stack=ADDRESS, waker_stack=ADDRESS + 1, object=ADDRESS + 2),
    record(Kind.CALL, socket=ADDRESS + 64),
    record(Kind.STACK, id=ADDRESS + 1, depth=1, frames=(ADDRESS + 8,) + (0,) * (STACK_FRAMES - 1)),
    record(Kind.SOCKET_COPY, socket=ADDRESS),
    record(Kind.CALL),
]


def packed(stream: list[Any]) -> bytes:
    return b"".join(map(records.encode, stream))


def test_addresses_become_ordinals_and_equal_ones_stay_equal() -> None:
    data, stacks = without_addresses(packed(STREAM))
    left = list(records.decode(data))
    assert [record.kind for record in left] == [Kind.CALL, Kind.SLEEP, Kind.CALL, Kind.SOCKET_COPY, Kind.CALL]
    assert [record.socket for record in left if record.kind != Kind.SLEEP] == [1, 2, 1, 0]
    assert (left[1].stack, left[1].waker_stack, left[1].object) == (1, 2, 1)
    assert stacks == {1: [ADDRESS, ADDRESS + 8], 2: [ADDRESS + 8]}


@pytest.mark.parametrize("size", [1, 2, 3])
def test_pieces_give_the_same_as_the_whole(size: int) -> None:
    ordinals, data = Ordinals(), b""
    stacks: dict[int, list[int]] = {}
    for at in range(0, len(STREAM), size):
        data += ordinals.replace(packed(STREAM[at : at + size]))
        stacks |= ordinals.new_frames()
    assert (data, stacks) == without_addresses(packed(STREAM))
    assert ordinals.new_frames() == {}, "each stack is given once"


def test_every_field_of_a_record_that_can_hold_an_address_is_replaced() -> None:
    """A new kind of record that names its address otherwise would leak it: this test names the fields that hold none."""
    harmless = {"start", "enter", "exit", "ready", "copied", "latest", "off", "woken", "on", "started", "at", "first", "last"}
    harmless |= {
        "end",
        "wait",
        "delay",
        "preempted",
        "copy",
        "copy_in_max",
        "copy_out_max",
        "worker",
        "count",
        "total",
        "birth",
    }
    harmless |= {"preemptions", "longest", "polled", "queued", "unqueued", "probed", "bytes", "calls", "bursts", "args", "ret"}
    harmless |= {"inode", "unread", "made", "in_total", "in_wait", "in_delay", "in_preempted", "in_copy", "reported_wait"}
    harmless |= {"sleeps", "walked", "waker_walked", "threads", "wall", "kernel", "born", "off_at", "woken_at"}
    for kind, layout in records.LAYOUTS.items():
        if kind != Kind.STACK:
            full = record(kind, **{name: ADDRESS for name, ctype, length in layout.fields if ctype == "u64" and not length})
            (left,) = records.decode(without_addresses(records.encode(full))[0])
            assert {name for name, value in left._asdict().items() if value == ADDRESS} <= harmless, kind
