"""The experiments on the walks of select and poll: their results here, and their results for a call without walks."""

from __future__ import annotations

import contextlib
import dataclasses
import select
from collections.abc import Sequence
from typing import Any

import pytest

from labs.kit import walks
from labs.kit.asides import Walks
from labs.kit.walks import FEW, MANY
from probes.measure.result import Verdict
from tests.conftest import checked_with, lab_run, recording_of
from tests.labs.kit.beside import beside

ALL_SHOWN = Walks(
    many=MANY, ready=MANY // 3, reported=MANY // 3, few=FEW, after_time_out=FEW, after_wake_up=FEW,
    woken=FEW, held=FEW, released=FEW,
)  # fmt: skip


@pytest.mark.parametrize("experiment", [walks.of_select, walks.of_poll])
def test_select_and_poll_walk_all_descriptors(experiment: Any) -> None:
    assert beside(experiment) == {"walks": dataclasses.asdict(ALL_SHOWN)}


def test_epoll_does_not_walk_and_the_experiments_show_it() -> None:
    """An epoll descriptor watches files, not numbers: it does not see what dup2 puts there, and keeps no file open."""

    def wait(fds: Sequence[int], seconds: float) -> int:
        with contextlib.closing(select.epoll()) as epoll:
            for fd in fds:
                epoll.register(fd, select.EPOLLIN)
            return len(epoll.poll(seconds))

    found = walks.walk_with(wait)
    assert (found.reported, found.woken) == (MANY // 3, FEW)
    assert (found.after_time_out, found.after_wake_up, found.held) == (0, 1, 0)


POLLS = "every call polls every descriptor, and again after a wake-up or a time-out"
QUEUES = "every call that waits enters every descriptor's wait queue, and leaves it"


@pytest.mark.parametrize("lab", ["select", "poll"])
@pytest.mark.parametrize(
    ("check", "change"),
    [
        (POLLS, {"reported": MANY // 3 - 1}),
        (POLLS, {"after_time_out": 0}),
        (POLLS, {"after_wake_up": 1}),
        (QUEUES, {"woken": FEW - 1}),
        (QUEUES, {"held": 0}),
        (QUEUES, {"released": FEW - 1}),
    ],
)
def test_a_call_that_left_a_descriptor_out_would_fail_the_checks(lab: str, check: str, change: dict[str, int]) -> None:
    recording = recording_of(lab)
    for changed, verdict in ((change, Verdict.FAILED), ({}, Verdict.CONFIRMED)):
        found = {"walks": dataclasses.asdict(dataclasses.replace(ALL_SHOWN, **changed))}
        judged = checked_with(lab, aside={**lab_run(recording).aside, **found})
        assert [each.verdict for each in judged.checks if each.name == check] == [verdict]
