"""What a program registers with epoll: additions and changes, and those that change nothing."""

from __future__ import annotations

import dataclasses

from findings.descriptors.registrations import EPOLL_CTL_MOD, EPOLLET, EPOLLONESHOT, events_of, registrations
from findings.view import Run
from probes.measure.result import Call
from tests.conftest import measured


def added_then(**changes: int) -> Run:
    """The run of lab epoll, in which one addition is made a second time with other arguments."""
    result = measured("epoll")
    at, call = next((at, call) for at, call in enumerate(result.calls) if call.name == "epoll_ctl" and call.args[2] != 3)
    args = (call.args[0], changes.get("op", call.args[1]), call.args[2], changes.get("events", call.args[3]))
    calls = (*result.calls[: at + 1], dataclasses.replace(call, args=args), *result.calls[at + 1 :])
    return Run(dataclasses.replace(result, calls=calls))


def test_the_server_registers_each_descriptor_once() -> None:
    found = registrations(Run(measured("epoll")))
    assert (len(found.added), found.descriptors) == (4, 4)
    assert (found.again, found.changed, found.same) == ([], [], [])
    assert {events_of(call) for call in found.added} == {1}, "EPOLLIN"


def test_the_events_say_whether_a_registration_is_edge_triggered() -> None:
    assert registrations(Run(measured("epoll"))).with_flag(EPOLLET) == 0
    assert registrations(Run(measured("epoll_edge"))).with_flag(EPOLLET) == 4


def test_a_second_addition_is_seen() -> None:
    found = registrations(added_then())
    assert (len(found.again), found.descriptors) == (1, 4)


def test_a_change_to_the_same_events_is_seen_but_not_if_it_arms_again() -> None:
    assert len(registrations(added_then(op=EPOLL_CTL_MOD)).same) == 1
    assert len(registrations(added_then(op=EPOLL_CTL_MOD, events=4)).same) == 0
    armed = added_then(op=EPOLL_CTL_MOD, events=1 | EPOLLONESHOT)
    assert (len(registrations(armed).changed), len(registrations(armed).same)) == (1, 0)


def test_an_address_in_the_place_of_the_events_is_not_taken_for_them() -> None:
    (call, *_) = [call for call in measured("epoll").calls if call.name == "epoll_ctl"]
    assert events_of(dataclasses.replace(call, args=(*call.args[:3], 0x7FFC_1234_5678))) is None
    assert events_of(dataclasses.replace(call, args=call.args[:1])) is None
    assert isinstance(call, Call)
