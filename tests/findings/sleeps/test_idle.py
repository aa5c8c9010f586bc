"""Asleep, split into idle, held up and not known: the parts add up, and each cause has a program that shows it."""

from __future__ import annotations

import pytest

from findings.sleeps.idle import Cause, Idleness, asleep
from findings.sleeps.waits import sleeps_in_calls
from findings.view import Run
from tests.conftest import DATA, measured

LARGE = 300_000  # bytes of a recording: two of them take longer than all others together
NAMES = sorted(str(path.relative_to(DATA).with_suffix("")) for path in DATA.rglob("*.iolab") if path.stat().st_size < LARGE)
IDLE = ("threads", "processes", "select", "poll", "epoll", "epoll_edge", "selectors", "asyncio", "io_uring")
SEE = 10_000_000  # ns


@pytest.mark.parametrize("name", NAMES)
def test_the_parts_add_up(name: str) -> None:
    run = Run(measured(name))
    parts = asleep(run)
    assert parts.keys() == {thread.serial for thread in run.result.threads}
    for thread in run.result.threads:
        own = parts[thread.serial]
        assert own.idle + own.held_up + own.not_known == thread.wait
        assert min(own.idle, own.held_up, own.not_known) >= 0
        assert sum(ns for _, ns in own.causes) == own.held_up
    idleness = Idleness(run)
    for call, sleep in sleeps_in_calls(run.result.calls):
        each = idleness.of_sleep(call, sleep)
        assert each.idle + each.held_up + each.not_known == sleep.wait
        assert min(each.idle, each.held_up, each.not_known) >= 0
        assert (each.cause is not None) == (each.held_up > 0)


@pytest.mark.parametrize("name", IDLE)
def test_a_right_server_is_idle(name: str) -> None:
    run = Run(measured(name))
    for parts in asleep(run).values():
        assert parts.held_up + parts.not_known < 0.02 * max(parts.idle, SEE)


@pytest.mark.parametrize(
    ("name", "case", "cause", "held_up"),
    [
        ("edge_undrained", "broken", Cause.UNREAD, 1029),  # data left in sockets while it slept in epoll_wait
        ("silent_client", "broken", Cause.UNREAD, 457),  # messages of others while it slept for the silent client
        ("pool_ceiling", "broken", Cause.UNREAD, 399),
        ("slow_handler", "broken", Cause.EVENT_LOOP, 452),  # its own pauses
        ("slow_handler", "mended", Cause.UNANSWERED, 468),  # the pauses of its pool
    ],
)
def test_work_that_waits_holds_a_thread_up(name: str, case: str, cause: Cause, held_up: int) -> None:
    run = Run(measured(name))
    found = sum(dict(parts.causes).get(cause, 0) for parts in asleep(run.case(case)).values())
    assert 0.9 * held_up <= found / 1e6 <= 1.1 * held_up + 1


@pytest.mark.parametrize(("name", "case"), [("edge_undrained", "mended"), ("silent_client", "mended")])
def test_the_mended_server_is_idle(name: str, case: str) -> None:
    for parts in asleep(Run(measured(name)).case(case)).values():
        assert parts.held_up < SEE


def test_a_single_blocking_thread_is_held_up_by_each_client() -> None:
    (parts,) = asleep(Run(measured("blocking"))).values()
    assert parts.held_up > parts.idle and parts.causes[0][0] is Cause.UNREAD


def test_a_lock_holds_up_its_waiter_and_who_waits_for_that() -> None:
    run = Run(measured("faults/chain-threads"))
    parts = asleep(run)
    causes = {thread.name: parts[thread.serial].causes for thread in run.result.threads}
    assert causes["writer"][0][0] is Cause.DEVICE and causes["writer"][0][1] > 50_000_000
    assert causes["chain"][0][0] is Cause.THREAD and causes["chain"][0][1] > 50_000_000
    assert sum(ns for _, ns in causes["sleeper"]) < SEE  # a pause with nothing unread


def test_a_parent_is_as_idle_as_its_child() -> None:
    run = Run(measured("faults/chain-child"))
    assert all(parts.idle > 0.9 * (parts.idle + parts.held_up + parts.not_known) for parts in asleep(run).values())


def test_a_client_that_pauses_after_an_answer_is_idle() -> None:
    """Its server waits for the next message meanwhile, and is idle, too."""
    run = Run(measured("pausing_client"))
    for thread in run.result.threads:
        parts = asleep(run)[thread.serial]
        assert parts.held_up < 0.2 * parts.idle
