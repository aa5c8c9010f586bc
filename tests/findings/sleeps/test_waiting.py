"""How a server waits: the figures are those of the time in which connections were open, one for each kind of wait."""

from __future__ import annotations

import dataclasses

from findings.sleeps.waiting import packets_ended, waiting
from findings.view import Run
from tests.conftest import measured


def case(lab: str, name: str) -> Run:
    return Run(measured(lab)).case(name)


def test_a_server_that_sleeps_is_asleep_for_most_of_the_time() -> None:
    found = waiting(case("time_out_polling", "no time-out"))
    assert found.asleep > 0.7 * found.calls and not found.without_result and not found.ended_by_timer
    assert found.runnable < 0.5 and found.slept < found.span


def test_a_time_out_of_0_is_a_burst_of_waits_without_result() -> None:
    found = waiting(case("time_out_polling", "time-out 0"))
    assert found.calls > 10_000 and found.without_result > 0.99 * found.calls
    assert not found.asleep and not found.ended_by_timer and found.runnable == 1


def test_a_short_time_out_is_a_sleep_without_result() -> None:
    found = waiting(case("time_out_polling", "time-out 1 ms"))
    assert 0 < found.ended_by_timer == found.without_result < found.calls


def test_descriptors_that_are_always_ready_are_counted_each_time() -> None:
    broken, mended = (waiting(case("always_writable", name)) for name in ("broken", "mended"))
    assert broken.reported >= broken.calls > 100 * mended.calls
    assert not broken.without_result and broken.runnable > 0.9


def test_the_time_before_the_first_connection_does_not_count() -> None:
    run = case("always_writable", "broken")
    life = 1 - run.server.wait / run.server.wall
    assert waiting(run).runnable > life + 0.2, "this server sleeps before its first client, and not while it has one"


def test_a_server_without_connections_has_no_figures() -> None:
    run = case("always_writable", "broken")
    alone = Run(dataclasses.replace(run.result, calls=tuple(c for c in run.result.calls if c.name != "accept4")))
    found = waiting(alone)
    assert (found.calls, found.span, found.runnable) == (0, 0, 0.0)


def test_what_ended_the_sleep_in_which_a_message_arrived() -> None:
    by_packet, arrived = packets_ended(case("time_out_polling", "time-out 1 ms"))
    assert by_packet == arrived > 10
    assert packets_ended(case("time_out_polling", "time-out 0")) == (0, 0)
