"""Lab epoll_steps where the entries in wait queues are counted, and where the kernel writes something else."""

from __future__ import annotations

import dataclasses

import pytest

import labs
from findings.view import Run
from labs.epoll_steps import DATA, only_a_number, queues_the_task
from probes.measure.result import Check, Verdict
from tests.conftest import lab_run, measured, recording_of


def counted(entries: int) -> Check:
    """The check on the wait queue, as a kernel shows it on which epoll_ctl made so many entries."""
    result = measured("epoll_steps")
    calls = tuple(dataclasses.replace(call, queued=entries) if call.name == "epoll_ctl" else call for call in result.calls)
    checks = labs.find("epoll_steps").judge(dataclasses.replace(result, calls=calls)).checks
    return next(check for check in checks if check.claims == ("C54",))


def test_one_entry_refutes_that_the_task_stands_in_the_queue() -> None:
    assert counted(1).verdict is Verdict.REFUTED
    assert "epoll_ctl made 1 entry" in counted(1).evidence
    assert counted(0).verdict is Verdict.FAILED


def test_a_wake_up_that_did_not_run_the_callback_refuses_the_check() -> None:
    result = measured("epoll_steps")
    calls = []
    for call in result.calls:
        asleep = tuple(
            dataclasses.replace(sleep, waker=dataclasses.replace(sleep.waker, stack=("default_wake_function",)))
            if sleep.waker
            else sleep
            for sleep in call.sleeps
        )
        calls.append(dataclasses.replace(call, sleeps=asleep))
    assert queues_the_task(Run(dataclasses.replace(result, calls=tuple(calls)))).verdict is Verdict.FAILED


@pytest.mark.parametrize("written", [(), DATA[:2], (4, 6)])
def test_other_events_in_the_memory_refuse_the_check(written: tuple[int, ...]) -> None:
    context = lab_run(recording_of("epoll_steps"))
    changed = dataclasses.replace(context, aside={**context.aside, "written": list(written)})
    assert only_a_number(Run(dataclasses.replace(measured("epoll_steps"), context=changed))).verdict is Verdict.FAILED
