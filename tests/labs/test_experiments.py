"""Each check of an experiment refuses a program that differs from the statement in one point."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

import labs
from probes.context import LabRun
from probes.measure.result import Call, Result, Verdict
from tests.conftest import measured


def verdicts(lab: str, result: Result) -> dict[str, Verdict]:
    return {check.name: check.verdict for check in labs.find(lab).judge(result).checks}


def with_calls(lab: str, change: Callable[[Call], Call]) -> Result:
    result = measured(lab)
    return dataclasses.replace(result, calls=tuple(change(call) for call in result.calls))


def with_aside(lab: str, **observed: object) -> Result:
    result = measured(lab)
    assert isinstance(result.context, LabRun)
    context = dataclasses.replace(result.context, aside=dict(result.context.aside) | observed)
    return dataclasses.replace(result, context=context)


@pytest.mark.parametrize(("lab", "only"), [("input_calls", "recvfrom"), ("output_calls", "sendto")])
def test_one_call_in_every_section_is_not_five_calls(lab: str, only: str) -> None:
    """The program calls recv (or send) in the sections of all five calls."""
    others = {"read", "readv", "recvmsg"} if only == "recvfrom" else {"write", "writev", "sendmsg"}
    result = with_calls(lab, lambda call: dataclasses.replace(call, name=only) if call.name in others else call)
    assert set(verdicts(lab, result).values()) == {Verdict.FAILED}


def test_an_output_call_that_sends_a_part_does_not_wait_until_all_has_room() -> None:
    result = with_calls("output_calls", lambda call: dataclasses.replace(call, bytes=call.bytes // 2) if call.sleeps else call)
    assert (
        verdicts("output_calls", result)["every blocking output call sleeps until the send buffer has room"] is Verdict.FAILED
    )


READ, RELEASED = (check for check, _claims, _function in labs.find("delivery").checks)


@pytest.mark.parametrize(
    ("observed", "failing"),
    [
        ({"unacknowledged": [1000, 1000, 600, 0]}, RELEASED),  # the sender keeps its copy until the read
        ({"send_memory": [1832, 1832, 1832, 0]}, RELEASED),
        ({"unread": [1000, 1000, 1000, 0]}, READ),
        ({"receive_memory": [1832, 1832, 1832, 1832]}, READ),
    ],
)
def test_each_half_of_a_delivery_is_counted(observed: dict[str, list[int]], failing: str) -> None:
    found = verdicts("delivery", with_aside("delivery", **observed))
    assert found.pop(failing) is Verdict.FAILED
    assert set(found.values()) <= {Verdict.CONFIRMED, Verdict.REFINED}


def test_an_acknowledgement_before_the_first_look_shows_no_release() -> None:
    found = verdicts("delivery", with_aside("delivery", unacknowledged=[0, 0, 0, 0], send_memory=[0, 0, 0, 0]))
    assert found[RELEASED] is Verdict.UNAVAILABLE


def test_a_delivery_of_an_older_version_is_not_shown() -> None:
    found = verdicts("delivery", with_aside("delivery", unread=[1000, 600, 0], unacknowledged=[0, 0, 0]))
    assert set(found.values()) == {Verdict.UNAVAILABLE}


@pytest.mark.parametrize("kind", ["select", "poll"])
def test_a_call_that_does_not_wait_for_a_pipe_shows_nothing_of_files(kind: str) -> None:
    """Without the pipe as a comparison, a call that never sleeps would look like a file that is always ready."""
    names = {"select": {"select", "pselect6"}, "poll": {"poll", "ppoll"}}[kind]
    result = with_calls("files", lambda call: dataclasses.replace(call, sleeps=()) if call.name in names else call)
    assert Verdict.FAILED in verdicts("files", result).values()


@pytest.mark.parametrize("lab", ["accept", "connect"])
def test_a_comparison_needs_both_calls(lab: str) -> None:
    """Without the sleep of recv (or of send), nothing shows that the call waits like it."""
    compared = {"accept": "recvfrom", "connect": "sendto"}[lab]
    result = with_calls(lab, lambda call: dataclasses.replace(call, sleeps=()) if call.name == compared else call)
    assert set(verdicts(lab, result).values()) == {Verdict.FAILED}


def test_a_connect_whose_end_nothing_reports_is_not_like_an_output_call() -> None:
    result = with_calls("connect", lambda call: dataclasses.replace(call, result=0) if call.name == "pselect6" else call)
    assert set(verdicts("connect", result).values()) == {Verdict.FAILED}


def test_one_process_asleep_at_a_time_shows_nothing_of_exclusive_waiters() -> None:
    """The sleeps of seven processes end before the first connection: a connection could wake one process only."""
    result = measured("thundering_herd")
    found = verdicts("thundering_herd", result)
    name = "a connection wakes one process of those asleep in accept"
    assert found[name] is Verdict.CONFIRMED

    def short(call: Call) -> Call:
        sleeps = tuple(
            dataclasses.replace(sleep, off=max(sleep.off, sleep.woken - 1000)) if sleep.queue == "accept" else sleep
            for sleep in call.sleeps
        )
        return dataclasses.replace(call, sleeps=sleeps)

    assert verdicts("thundering_herd", with_calls("thundering_herd", short))[name] is Verdict.UNAVAILABLE
