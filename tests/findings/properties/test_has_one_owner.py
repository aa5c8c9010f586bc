"""Two threads at one connection, and calls on descriptors that were closed."""

from __future__ import annotations

import dataclasses

import pytest

from findings.properties.has_one_owner import HAS_ONE_OWNER
from findings.properties.property import Holds
from findings.view import Run
from probes.measure.result import Result
from tests.findings.models.story import Story


def read_by(*threads: int, at_once: bool, accepted: bool = True) -> Result:
    """Each of these threads reads connection 4; at once or one after the other."""
    story = Story()
    for _ in range(2):
        story.thread()
    if accepted:
        story.call("accept4", 3, result=4)
    for thread in threads:
        story.read(4, by=thread, sleeps="socket")
    result = story.result()
    first, *_others = (call for call in result.calls if call.name == "recvfrom")
    calls = (
        dataclasses.replace(call, exit=result.calls[-1].exit) if call is first and at_once else call for call in result.calls
    )
    return dataclasses.replace(result, calls=tuple(calls))


@pytest.mark.parametrize(
    ("result", "verdict"),
    [
        (read_by(2, 3, at_once=True), Holds.BROKEN),
        (read_by(2, 3, at_once=False), Holds.HELD),
        (read_by(2, 2, at_once=False), Holds.HELD),
        (read_by(2, 3, at_once=True, accepted=False), Holds.NOT_SHOWN),
    ],
    ids=["at once", "one after the other", "one thread", "a socket that was not accepted"],
)
def test_two_readers_of_a_connection(result: Result, verdict: Holds) -> None:
    seen = HAS_ONE_OWNER.observe(Run(result))
    assert seen.holds is verdict, seen.evidence
    if verdict is Holds.BROKEN:
        assert "(threads 2 and 3, descriptor 4)" in seen.evidence


@pytest.mark.parametrize(
    ("name", "errno", "verdict"),
    [("recvfrom", "EBADF", Holds.BROKEN), ("sendto", "ENOTSOCK", Holds.BROKEN), ("close", "EBADF", Holds.HELD)],
)
def test_a_call_on_a_closed_descriptor(name: str, errno: str, verdict: Holds) -> None:
    """A program that becomes a daemon closes all numbers, whether they are open or not."""
    story = Story()
    story.call("accept4", 3, result=4)
    story.call("close", 4)
    story.call(name, 4, errno=errno, result=-9)
    seen = HAS_ONE_OWNER.observe(Run(story.result()))
    assert seen.holds is verdict and (verdict is Holds.HELD or f"{name} got {errno} once" in seen.evidence)
