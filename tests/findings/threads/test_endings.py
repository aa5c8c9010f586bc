"""How processes end: what wait4 says of each child is what the recording says; the words; the report."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from signal import Signals

import pytest

from findings.threads.endings import Ended, endings
from findings.threads.processes import Process, processes
from findings.view import Run
from reports.endings import sentences, words
from reports.terminal import processes as section
from reports.terminal.screen import screen
from runs.report import report
from tests.conftest import Followed, measured


def process(pid: int = 70) -> Process:
    found = processes(Run(measured("trace")))[0]
    return replace(found, pid=pid, first=replace(found.first, name="worker"))


def test_the_words_name_status_signal_and_sender() -> None:
    sender = replace(process().first, pid=9, name="master\x1b[31m")
    for ended, expected in (
        (Ended(process(), 3), "exit status 3"),
        (Ended(process(), None, "SIGPIPE", by_signal=True), "killed by SIGPIPE"),
        (Ended(process(), None, "SIGSEGV", by_signal=True, core=True), "killed by SIGSEGV (core dumped)"),
        (Ended(process(), None, "SIGKILL", by_signal=True, sender=sender), "killed by SIGKILL, which master 9 sent"),
        (Ended(process(), None, by_signal=True), "killed by a signal that no record names"),
        (Ended(process(), None), "its exit status is not recorded"),
    ):
        assert words(ended, lambda thread: f"master {thread.pid}") == expected
    (sentence,) = sentences([Ended(process(), None, "SIGKILL", by_signal=True, sender=sender)])
    assert sentence == r"worker 70: killed by SIGKILL, which master\x1b[31m 9 sent"


def test_equal_endings_are_one_sentence_and_status_0_is_no_news() -> None:
    killed = [Ended(process(pid), None, "SIGPIPE", by_signal=True) for pid in range(70, 76)]
    assert sentences([*killed, Ended(process(80), 0), Ended(process(81), 1)]) == [
        "worker 70, 71, 72, 73 ... (6 processes): killed by SIGPIPE",
        "worker 81: exit status 1",
    ]


def test_a_recorded_program_ended_with_its_status() -> None:
    found = endings(Run(measured("trace")))
    assert [(ended.process.first.name, ended.status) for ended in found] == [("sh", 3), ("ls", 0), ("sleep", 0)]


@pytest.mark.live
def test_the_endings_are_those_that_wait4_gives_to_the_parent(
    follow: Callable[..., Followed], compiled: Callable[..., Path]
) -> None:
    run = follow(compiled("endings"))
    said = {int(pid): ending for pid, ending in json.loads(run.output).items()}
    found = {ended.process.pid: ended for ended in endings(Run(run.result))}
    for pid, (status, signal) in said.items():
        ended = found[pid]
        assert (ended.status, ended.by_signal) == ((None, True) if signal else (status, False)), ended
        assert ended.signal == (Signals(signal).name if signal else ""), ended
    main = run.result.threads[0]
    assert [ended.sender.pid for ended in found.values() if ended.sender] == [main.pid], "SIGKILL has a sender"
    assert len(sentences(list(found.values()))) == 4


def test_the_report_tells_them() -> None:
    section.show(report(measured("trace")), screen(file := io.StringIO(), 80))
    assert "exit status 3" in file.getvalue() and "2 processes ended with exit status 0" in file.getvalue()
