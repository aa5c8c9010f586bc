"""How processes ended, in words: processes that ended alike are in one sentence, and those with status 0 in none."""

from __future__ import annotations

import dataclasses
from signal import Signals

from findings.threads.endings import Ended
from findings.threads.processes import Process
from probes.measure.result import Thread
from reports import endings
from tests.conftest import measured


def process(pid: int, name: str = "worker") -> Process:
    thread: Thread = dataclasses.replace(measured("epoll").threads[0], pid=pid, tid=pid, name=name)
    return Process(pid, thread, (thread,), None)


def status(pid: int, number: int | None, name: str = "worker") -> Ended:
    return Ended(process(pid, name), status=number)


def killed(pid: int, by: str, core: bool = False, sender: Thread | None = None) -> Ended:
    return Ended(process(pid), status=None, by_signal=True, signal=by, core=core, sender=sender)


def test_processes_that_ended_alike_are_in_one_sentence() -> None:
    ended = [status(10, 3), status(11, 3), status(12, 1), status(13, 0)]
    assert endings.sentences(ended) == ["worker 10, 11 (2 processes): exit status 3", "worker 12: exit status 1"]


def test_of_many_processes_the_first_are_listed() -> None:
    (sentence,) = endings.sentences([status(pid, 3) for pid in range(10, 16)])
    assert sentence == "worker 10, 11, 12, 13 ... (6 processes): exit status 3"


def test_a_signal_has_its_sender_and_its_core() -> None:
    sender = process(7, "ma\x1bster").first
    (sentence,) = endings.sentences([killed(10, Signals.SIGSEGV.name, core=True, sender=sender)])
    assert sentence.startswith("worker 10: killed by SIGSEGV, which ma") and sentence.endswith("7 sent (core dumped)")
    assert "\x1b" not in sentence
    assert endings.sentences([killed(10, "")]) == ["worker 10: killed by a signal that no record names"]
