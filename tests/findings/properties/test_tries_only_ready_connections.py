"""Reads of connections that are not ready: a loop that tries them all is found, and a loop that reads until EAGAIN is not."""

from __future__ import annotations

import pytest

from findings.properties.property import Holds
from findings.properties.tries_only_ready_connections import TRIES_ONLY_READY_CONNECTIONS
from findings.view import Run
from tests.findings.models.story import Story


def served(turns: int, tries_all: bool, waits: bool = True, accepted: bool = True) -> Story:
    """In each turn one of four connections is ready."""
    story = Story()
    for number in range(4, 8):
        story.call("accept4", 3, result=number if accepted else -1)
    for turn in range(turns):
        if waits:
            story.call("poll", sleeps="poll", result=1)
        for number in range(4, 8):
            if number == 4 + turn % 4:
                story.read(number)
                story.call("sendto", number, 0, 64, result=64)
                story.call("recvfrom", number, errno="EAGAIN", result=-11)
            elif tries_all:
                story.call("recvfrom", number, errno="EAGAIN", result=-11)
    return story


@pytest.mark.parametrize(
    ("story", "verdict"),
    [
        (served(30, tries_all=True), Holds.BROKEN),
        (served(30, tries_all=False), Holds.HELD),
        (served(4, tries_all=True), Holds.HELD),
        (served(30, tries_all=True, waits=False), Holds.NOT_SHOWN),
        (served(30, tries_all=True, accepted=False), Holds.NOT_SHOWN),
    ],
    ids=["tries all", "reads until EAGAIN", "a few turns", "without a multiplexer", "pipes"],
)
def test_a_read_without_data_since_the_last_one_counts(story: Story, verdict: Holds) -> None:
    seen = TRIES_ONLY_READY_CONNECTIONS.observe(Run(story.result()))
    assert seen.holds is verdict, seen.evidence
    if verdict is Holds.BROKEN:
        assert "after 30 waits, thread program made" in seen.evidence
        assert seen.places[0].call == "recvfrom" and seen.cost.calls > 60
