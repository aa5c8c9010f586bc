"""Processes by their threads, and the signal that ended one: reported by the kernel, or concluded from the last calls."""

from __future__ import annotations

import dataclasses
from signal import Signals

import pytest

from findings.threads.processes import deaths, processes
from findings.view import Run
from probes.measure.result import Ending
from tests.findings.models.story import Story

NOSIGNAL = 0x4000


def ended(story: Story, *pids: int, by: Ending | None = None) -> Run:
    """The run, in which these processes ended."""
    result = story.result()
    threads = tuple(
        dataclasses.replace(thread, ended=True, ended_by=by) if thread.pid in pids else dataclasses.replace(thread, ended=False)
        for thread in result.threads
    )
    return Run(dataclasses.replace(result, threads=threads))


def test_threads_of_one_process_stand_together() -> None:
    story = Story()
    worker, child = story.thread(), story.process(parent=1)
    of_child = story.thread(parent=child)
    first, second = processes(Run(story.result()))
    assert [thread.serial for thread in first.threads] == [1, worker] and first.parent is None
    assert [thread.serial for thread in second.threads] == [child, of_child]
    assert second.parent and second.parent.serial == 1


@pytest.mark.parametrize(("flags", "signal"), [(0, Signals.SIGPIPE), (NOSIGNAL, None)])
def test_a_send_that_got_epipe_brings_sigpipe_unless_its_flag_forbids_it(flags: int, signal: Signals | None) -> None:
    story = Story()
    story.call("sendto", 4, 0, 64, flags, result=-32, errno="EPIPE")
    (death,) = deaths(ended(story, 1))
    assert death.signal is signal and death.call and death.call.name == "sendto"


def test_a_process_that_called_exit_was_not_killed() -> None:
    story = Story()
    story.call("exit_group", 0)
    assert deaths(ended(story, 1)) == []


def test_a_process_that_runs_on_has_no_death() -> None:
    story = Story()
    story.call("sendto", 4, 0, 64, 0, result=-32, errno="EPIPE")
    assert deaths(ended(story)) == []


def test_abort_is_a_signal_to_itself() -> None:
    story = Story()
    story.call("tgkill", 1, 1, Signals.SIGABRT)
    (death,) = deaths(ended(story, 1))
    assert death.signal is Signals.SIGABRT and death.sender is None


def test_another_process_that_sent_the_signal_is_named() -> None:
    story = Story()
    child = story.process(parent=1)
    story.call("read", 3, by=child)
    story.call("kill", child, Signals.SIGTERM)
    (death,) = deaths(ended(story, child))
    assert death.signal is Signals.SIGTERM and death.sender and death.sender.serial == 1


def test_what_the_kernel_reported_counts_more_than_the_last_call() -> None:
    story = Story()
    story.call("sendto", 4, 0, 64, 0, result=-32, errno="EPIPE")
    (death,) = deaths(ended(story, 1, by=Ending(status=0, signal=int(Signals.SIGKILL), core=False)))
    assert death.signal is Signals.SIGKILL
    assert deaths(ended(story, 1, by=Ending(status=3, signal=0, core=False))) == []
