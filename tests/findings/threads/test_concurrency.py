"""Servers that give connections to threads or processes, on recordings. tests/labs/test_wrong_servers.py has wrong ones."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import pytest

from findings.threads import concurrency
from findings.view import Run
from probes.measure.queues import Queue
from probes.measure.result import Sleep, Verdict
from tests.conftest import measured
from tests.findings.models.story import Story


def run_of(lab: str, **changes: Any) -> Run:
    return Run(dataclasses.replace(measured(lab), **changes))


def test_services_are_those_of_the_connections_in_order() -> None:
    served = concurrency.services(run_of("blocking"))
    assert len(served) == 3
    assert all(before.end < after.begin for before, after in itertools.pairwise(served))
    assert len({service.threads for service in concurrency.services(run_of("threads"))}) == 6


@pytest.mark.parametrize(
    ("lab", "unit", "words"),
    [
        ("blocking", "thread", "1 thread read 3 connections; the thread that accepts read 3 connections"),
        ("threads", "process", "1 process read 6 connections; 5 connections had no process of their own"),
        ("process_pool", "process", "4 processes read 6 connections"),
    ],
)
def test_shared_readers_are_counted(lab: str, unit: str, words: str) -> None:
    seen = concurrency.own_reader_each(run_of(lab), unit)
    assert seen.verdict is Verdict.FAILED
    assert words in seen.evidence


def in_turn(lock: str) -> Run:
    """Two threads whose reads sleep in turn, three times each. Meanwhile, the other thread sleeps on the queue `lock`."""
    story = Story()
    readers = story.thread(), story.thread()
    for number in range(6):
        reader, other = readers[number % 2], readers[(number + 1) % 2]
        story.call("recvfrom", 10 + reader, result=64, by=reader, sleeps=Queue.SOCKET, socket=reader)
        if lock:
            story.call("flock", 9, by=other, sleeps=lock)
    result = story.result()
    calls = list(result.calls)
    for read, wait in itertools.pairwise(calls) if lock else ():
        if wait.name == "flock":  # at the time of the read
            calls[calls.index(wait)] = dataclasses.replace(wait, enter=read.enter, exit=read.exit, sleeps=(
                dataclasses.replace(wait.sleeps[0], off=read.enter, woken=read.exit, on=read.exit),
            ))  # fmt: skip
    return Run(dataclasses.replace(result, calls=tuple(calls)))


@pytest.mark.parametrize("lock", [Queue.FUTEX, Queue.FLOCK, Queue.RECORD_LOCK, Queue.SEMAPHORE])
def test_readers_that_share_a_lock_wait_for_each_other(lock: Queue) -> None:
    """No data is unread meanwhile: each client sends when it is its thread's turn."""
    seen = concurrency.own_reader_each(in_turn(lock), "thread")
    assert seen.verdict is Verdict.FAILED
    assert "in which a thread slept in recv, another thread slept for a lock" in seen.evidence


@pytest.mark.parametrize("queue", ["", Queue.TIMER])
def test_readers_that_sleep_in_turn_without_a_lock_are_right(queue: str) -> None:
    assert concurrency.own_reader_each(in_turn(queue), "thread").verdict is Verdict.CONFIRMED


def test_one_connection_waits_for_no_other() -> None:
    result = measured("threads")
    first = next(call.socket for call in Run(result).reads if call.socket)
    alone = run_of("threads", calls=tuple(call for call in result.calls if call.socket in (None, first)))
    assert concurrency.own_reader_each(alone, "thread").verdict is Verdict.UNAVAILABLE


def test_threads_that_stay_after_their_connection_are_counted() -> None:
    assert "0 stayed after it" in concurrency.cost_of_each(run_of("threads"), "thread").evidence
    seen = concurrency.cost_of_each(run_of("thread_pool"), "thread")
    assert seen.verdict is Verdict.FAILED and "4 threads for 6 connections" in seen.evidence and "4 stayed" in seen.evidence


def test_threads_that_slept_until_the_server_ended_stay_though_they_exit() -> None:
    """As an executor's threads do: they wait for the next connection, and exit when a signal has ended the server's accept."""
    run = run_of("threads")
    (ended,) = [call.exit for call in run.calls_of[run.server.serial] if call.errno == "ERESTARTSYS"]
    changed = []
    for call in run.result.calls:
        if call.name == "exit" and call.thread != run.server.serial:
            sleep = Sleep(call.enter, ended, ended + 1, Queue.FUTEX, ("futex_wait",), None)
            changed.append(dataclasses.replace(call, name="futex", exit=ended + 1, result=0, sleeps=(sleep,)))
            changed.append(dataclasses.replace(call, enter=ended + 2, exit=ended + 2))
        else:
            changed.append(call)
    seen = concurrency.cost_of_each(run_of("threads", calls=tuple(changed)), "thread")
    assert seen.verdict is Verdict.FAILED
    assert "6 stayed after it" in seen.evidence


def test_processes_that_existed_before_are_counted() -> None:
    seen = concurrency.cost_of_each(run_of("process_pool"), "process")
    assert seen.verdict is Verdict.FAILED and "4 of these existed before their connection" in seen.evidence


@pytest.mark.parametrize(("lab", "unit"), [("thread_pool", "thread"), ("process_pool", "process")])
def test_a_ceiling_is_the_pools_own(lab: str, unit: str) -> None:
    assert concurrency.ceiling(run_of(lab), 4, unit).verdict is Verdict.CONFIRMED
    lower = concurrency.ceiling(run_of(lab), 3, unit)
    assert lower.verdict is Verdict.FAILED and "at most 4 connections" in lower.evidence
    higher = concurrency.ceiling(run_of(lab), 5, unit)
    assert higher.verdict is Verdict.FAILED and "while fewer than 5 were served" in higher.evidence
    assert concurrency.ceiling(run_of(lab), 6, unit).verdict is Verdict.UNAVAILABLE


@pytest.mark.parametrize(("lab", "size"), [("thread_pool", 4), ("process_pool", 4), ("threads", 9), ("blocking", 9)])
def test_a_pool_has_the_size_that_it_was_made_with(lab: str, size: int) -> None:
    assert (
        concurrency.pool_size(run_of(lab), 9, "process" if lab == "process_pool" else "thread") == size
    )  # 9: of servers that have no pool


def test_a_pool_larger_than_the_connections_shows_no_ceiling() -> None:
    run = run_of("process_pool")
    first = sorted(run.connections, key=lambda call: call.exit)[0]
    few = run_of("process_pool", calls=tuple(call for call in run.result.calls if call not in run.connections or call is first))
    assert concurrency.pool_size(few, 2, "process") == 4
    assert concurrency.at_most(few, concurrency.pool_size(few, 2, "process")).verdict is Verdict.UNAVAILABLE


def test_one_connection_after_the_other_is_no_pool() -> None:
    seen = concurrency.ceiling(run_of("blocking"), 2, "thread")
    assert seen.verdict is Verdict.FAILED and "waited for the end of another" in seen.evidence
