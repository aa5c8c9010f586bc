"""A thread in user code while the clients send next to nothing."""

from __future__ import annotations

import dataclasses

import pytest

from findings.properties.property import Holds
from findings.properties.sleeps_without_work import SLEEPS_WITHOUT_WORK
from findings.view import Run
from probes.context import TraceRun
from tests.conftest import measured


def test_a_right_server_sleeps() -> None:
    for name in ("epoll", "threads", "nonblocking"):
        seen = SLEEPS_WITHOUT_WORK.observe(Run(measured(name)))
        assert seen.holds is Holds.HELD, (name, seen.evidence)


@pytest.mark.parametrize(
    ("share", "preempted", "calls", "verdict"),
    [(0.9, 0.0, 3, Holds.BROKEN), (0.1, 0.85, 3, Holds.BROKEN), (0.3, 0.0, 3, Holds.HELD), (0.9, 0.0, 90_000, Holds.HELD)],
    ids=["waits in user code", "waits on a busy machine", "works a little", "makes many calls"],
)
def test_a_thread_in_user_code(share: float, preempted: float, calls: int, verdict: Holds) -> None:
    result = measured("epoll")
    first, *others = result.threads
    busy = dataclasses.replace(
        first, user=int(share * first.wall), preempted=int(preempted * first.wall), wait=0, sched_delay=0, calls=calls
    )
    seen = SLEEPS_WITHOUT_WORK.observe(Run(dataclasses.replace(result, threads=(busy, *others))))
    assert seen.holds is verdict, seen.evidence
    traced = dataclasses.replace(result, threads=(busy, *others), context=TraceRun())
    assert SLEEPS_WITHOUT_WORK.observe(Run(traced)).holds is Holds.NOT_SHOWN
