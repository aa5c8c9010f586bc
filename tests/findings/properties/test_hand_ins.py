"""Faults of servers that students handed in, and that were found by other words, or not at all: made from recordings."""

from __future__ import annotations

import dataclasses

from findings.diagnosis import diagnose
from findings.properties.leaves_no_data_unread import LEAVES_NO_DATA_UNREAD
from findings.properties.property import Holds
from findings.view import Run
from tests.conftest import measured


def test_a_loop_that_polls_one_connection_for_room_has_a_remedy_of_its_own() -> None:
    result = measured("faults/blocking_loop-one")
    before = next(each for each in diagnose(result).broken if each.id == "blocks-only-in-its-wait")
    assert "for one descriptor alone" in before.evidence and "names" in before.remedy
    calls = []
    for call in result.calls:
        if call.name == "poll" and call.sleeps:
            found_no_room = dataclasses.replace(
                call, name="sendto", fd=7, args=(7, 0, 100), enter=call.enter - 2, exit=call.enter - 1, result=-11,
                errno="EAGAIN", sleeps=(),
            )  # fmt: skip
            calls.append(found_no_room)
        calls.append(call)
    after = next(
        each
        for each in diagnose(dataclasses.replace(result, calls=tuple(calls))).broken
        if each.id == "blocks-only-in-its-wait"
    )
    assert "for room in the send buffer of one connection" in after.evidence and "EPOLLOUT" in after.remedy


def test_data_of_a_connection_that_was_not_accepted_is_no_matter_of_eagain() -> None:
    result = measured("epoll")
    run = Run(result)
    assert LEAVES_NO_DATA_UNREAD.observe(run).holds is Holds.HELD
    last = run.connections[-1]
    message = next(each for each in result.messages if each.fd == last.result)
    earlier = dataclasses.replace(message, ready=result.calls[0].enter)
    messages = tuple(earlier if each is message else each for each in result.messages)
    seen = LEAVES_NO_DATA_UNREAD.observe(Run(dataclasses.replace(result, messages=messages)))
    assert seen.holds is Holds.BROKEN
    assert "1 of these messages came before their connection was accepted" in seen.evidence
    assert seen.remedy.startswith("accept new connections while others are open")
