"""The strips: all messages with their parts, or the longest and a sample, which says so."""

from __future__ import annotations

from dataclasses import replace

from findings.pictures import strips
from findings.pictures.strips import Strips
from tests.conftest import checked


def of(name: str, most: int = strips.MOST) -> Strips:
    return strips.strips(checked(name), most)


def test_every_message_of_a_lab_has_its_strip() -> None:
    found = of("blocking")
    assert found.every and found.of == len(checked("blocking").messages) == 69
    assert [strip.number for strip in found.shown] == list(range(1, 70))


def test_the_parts_add_up_to_the_time_from_ready_to_returned() -> None:
    for name in ("blocking", "select", "native_aio"):
        for strip in of(name).shown:
            message = strip.message
            assert min(strip.unread, strip.noticed, strip.copied) >= 0
            assert strip.total == message.returned - message.ready - message.probed


def test_of_many_messages_the_longest_are_all_there() -> None:
    found = of("blocking", most=20)
    assert not found.every and len(found.shown) == 20 and found.longest == 10 and found.of == 69
    assert [strip.number for strip in found.shown] == sorted({strip.number for strip in found.shown})
    totals = sorted((strip.total for strip in of("blocking").shown), reverse=True)
    assert sorted((strip.total for strip in found.shown), reverse=True)[:10] == totals[:10]


def test_a_long_message_does_not_make_the_others_invisible() -> None:
    """Two messages of this run waited for another client's connection to end: 450 and 913 ms."""
    found = of("blocking")
    median = sorted(strip.total for strip in found.shown)[35]
    assert median / found.scale > 0.1 and max(strip.total for strip in found.shown) > 1_000 * found.scale


def test_a_run_without_messages() -> None:
    found = strips.strips(replace(checked("blocking"), messages=()))
    assert found.of == 0 and found.shown == () and found.scale >= 1
