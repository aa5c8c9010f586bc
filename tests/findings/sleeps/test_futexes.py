"""Calls of futex that wait for a lock, and calls that wait for a condition, for work or for a thread's end."""

from __future__ import annotations

import pytest

from findings.sleeps.futexes import Locks, locks_mutex
from findings.view import Run
from tests.findings.models.story import Story

WAIT, WAKE, LOCK_PI, WAIT_BITSET, PRIVATE, REALTIME = 0, 1, 6, 9, 0x80, 0x100
ADDRESS = 0x7F00


@pytest.mark.parametrize(
    ("operation", "value", "time_out", "mutex"),
    [
        (WAIT | PRIVATE, 2, 0, True),  # glibc's mutex: locked, with waiters
        (WAIT | PRIVATE, 0, 0, False),  # a condition
        (WAIT | PRIVATE, 2, 0x7F10, False),  # with a time-out
        (WAIT_BITSET | PRIVATE, 2, 0, True),  # Rust's mutex
        (WAIT_BITSET | PRIVATE | REALTIME, 2, 0, False),  # a condition variable of glibc
        (LOCK_PI, 0, 0, True),
        (WAKE, 2, 0, False),
    ],
)
def test_a_mutex_is_known_by_its_operation_and_its_value(operation: int, value: int, time_out: int, mutex: bool) -> None:
    story = Story()
    story.call("futex", ADDRESS, operation, value, time_out, sleeps="futex")
    (call,) = story.result().calls
    assert locks_mutex(call) is mutex


def waits(rounds: int, wakes: int, threads: int) -> Run:
    """Threads that sleep at one address, and wake another thread there so many times."""
    story = Story()
    for thread in [1, *(story.thread() for _ in range(threads - 1))]:
        for number in range(rounds):
            story.call("futex", ADDRESS, WAIT, 0, by=thread, sleeps="futex")
            if number < wakes:
                story.call("futex", ADDRESS, WAKE, 1, by=thread)
    return Run(story.result())


@pytest.mark.parametrize(
    ("rounds", "wakes", "threads", "lock"),
    [
        (6, 6, 3, True),  # each waiter releases it, as with a lock of Python
        (6, 0, 3, False),  # a queue: the waiters wake nobody
        (6, 6, 2, False),  # two threads that pass something to each other
        (4, 4, 3, False),  # too few sleeps
    ],
)
def test_a_semaphore_is_a_lock_if_its_waiters_also_release_it(rounds: int, wakes: int, threads: int, lock: bool) -> None:
    run = waits(rounds, wakes, threads)
    assert Locks(run).waited_for(run.result.calls[0]) is lock


def test_a_lock_of_one_process_is_no_lock_of_another() -> None:
    story = Story()
    for thread in (1, story.thread(), story.thread()):
        for _ in range(6):
            story.call("futex", ADDRESS, WAIT, 0, by=thread, sleeps="futex")
            story.call("futex", ADDRESS, WAKE, 1, by=thread)
    other = story.process(parent=1)
    story.call("futex", ADDRESS, WAIT, 0, by=other, sleeps="futex")
    run = Run(story.result())
    locks = Locks(run)
    assert locks.waited_for(run.result.calls[0]) and not locks.waited_for(run.result.calls[-1])
