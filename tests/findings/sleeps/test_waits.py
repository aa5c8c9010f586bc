"""Who waits for whom: wakers that are followed threads, and wake-ups that no task caused."""

from __future__ import annotations

from findings.sleeps.waits import Tasks, sleeps_in_calls, waits_for
from findings.view import Run
from probes.measure.wakers import Link
from tests.conftest import measured


def edges(name: str) -> set[tuple[str, str | None, str, str]]:
    """The waits of at least 10 ms."""
    found = waits_for(Run(measured(name)))
    return {
        (each.waiter.name, each.waker.name if each.waker else None, each.call, each.queue)
        for each in found
        if each.ns >= 10_000_000
    }


def test_a_chain_of_threads_is_found() -> None:
    assert edges("faults/chain-threads") >= {
        ("chain", "writer", "read", "pipe"),
        ("writer", "sleeper", "futex", "futex"),
        ("sleeper", None, "clock_nanosleep", "timer"),
    }


def test_a_child_wakes_its_parent_after_its_end() -> None:
    assert edges("faults/chain-child") == {
        ("chain", "child", "wait4", "child"),
        ("child", None, "clock_nanosleep", "timer"),
    }


def test_the_sums_are_those_of_the_sleeps() -> None:
    run = Run(measured("slow_handler"))
    sleeps = [sleep for _, sleep in sleeps_in_calls(run.result.calls)]
    found = waits_for(run)
    assert sum(each.ns for each in found) == sum(sleep.wait for sleep in sleeps)
    assert sum(each.count for each in found) == len(sleeps)
    assert max(each.longest for each in found) == max(sleep.wait for sleep in sleeps)
    assert [each.ns for each in found] == sorted((each.ns for each in found), reverse=True)


def test_no_thread_wakes_by_a_time_or_by_the_packet_of_another_task() -> None:
    run = Run(measured("time_out_polling"))
    tasks = Tasks(run.result.threads)
    sleeps = [sleep for _, sleep in sleeps_in_calls(run.result.calls) if sleep.waker]
    assert any(Link.TIMER in sleep.waker.chain for sleep in sleeps if sleep.waker)
    for sleep in sleeps:
        if sleep.waker and Link.TIMER in sleep.waker.chain:
            assert tasks.waker(sleep) is None


def test_an_id_that_is_used_again_names_the_thread_of_its_time() -> None:
    first, second = measured("faults/chain-threads").threads[1:3]
    later = second.__class__(**{f: getattr(second, f) for f in second.__slots__} | {"host_tid": first.host_tid})
    later = later.__class__(**{f: getattr(later, f) for f in later.__slots__} | {"start": first.end + 1, "end": first.end + 9})
    tasks = Tasks([first, later])
    assert tasks.at(first.host_tid, first.start) is first
    assert tasks.at(first.host_tid, first.end + 5) is later
    assert tasks.at(first.host_tid, first.start - 1) is None
    assert tasks.at(first.host_tid, first.end + 1_000_000_000) is None
