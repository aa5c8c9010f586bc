"""The difference of two moments of a running program: rates, shares and roles, from readings made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from findings.live import Interval, LiveGroup, between
from findings.threads.roles import Role
from probes.kernel.records import Kind, Off, encode
from probes.measure.live import LiveReader, Moment
from tests.probes.measure.streams import NUMBERS, record

SECOND = 1_000_000_000
TCP = 2 | 1 << 8 | 6 << 16  # AF_INET, SOCK_STREAM, IPPROTO_TCP
STACKS = {
    1: ("__schedule", "schedule", "do_epoll_wait"),
    2: ("try_to_wake_up", "ep_poll_callback", "sock_def_readable", "tcp_data_queue", "tcp_v4_rcv", "tcp_sendmsg"),
    3: ("inet_release",),
    4: ("__schedule", "schedule", "futex_wait_queue", "futex_wait"),
    5: ("try_to_wake_up", "hrtimer_wakeup", "__hrtimer_run_queues", "hrtimer_interrupt", "asm_sysvec_apic_timer_interrupt"),
}


class Program:
    """The records of a program, reading by reading."""

    def __init__(self) -> None:
        self.reader = LiveReader("x86_64")
        self.at = 0

    def moment(self, at: int, *items: Any) -> Moment:
        return self.reader.read(at, b"".join(map(encode, items)), STACKS)


def thread(serial: int, tid: int, pid: int, name: str, parent: int = 0) -> Any:
    return record(Kind.THREAD, thread=serial, tid=tid, ns_tid=tid, ns_tgid=pid, parent=parent, comm=name)


def state(serial: int, at: int, **values: Any) -> Any:
    return record(Kind.STATE, thread=serial, at=at, **{"nr": -1} | values)


def asleep(serial: int, at: int, since: int, call: str, stack: int, **values: Any) -> Any:
    return state(serial, at, nr=NUMBERS[call], off=Off.ASLEEP, off_at=since, stack=stack, **values)


def row(serial: int, call: str, count: int, moved: int = 0, outcome: int = 1) -> Any:
    bytes_ = {"release": 3, "socket": TCP} if call != "futex" else {}
    return record(Kind.SUM, thread=serial, nr=NUMBERS[call], outcome=outcome, count=count, bytes=moved, **bytes_)


def sleeps(serial: int, call: str, count: int, wait: int, stack: int, waker_stack: int, waker: int = 0) -> Any:
    return record(
        Kind.SLEEP_SUM, thread=serial, nr=NUMBERS[call], count=count, wait=wait, stack=stack, waker_stack=waker_stack,
        waker=waker, waker_comm="wrk",
    )  # fmt: skip


def only(interval: Interval) -> LiveGroup:
    (group,) = interval.groups
    return group


def test_rates_and_shares_are_those_of_the_interval() -> None:
    program = Program()
    before = program.moment(
        SECOND, thread(1, 7, 7, "srv"), row(1, "recvfrom", 1000, 64_000), row(1, "recvfrom", 5, outcome=-11),
        row(1, "epoll_wait", 50), state(1, SECOND, wait=600_000_000, delay=100_000_000, made=1055),
    )  # fmt: skip
    after = program.moment(
        2 * SECOND, row(1, "recvfrom", 1200, 76_800), row(1, "recvfrom", 15, outcome=-11), row(1, "epoll_wait", 90),
        sleeps(1, "epoll_wait", 90, SECOND, 1, 2),
        state(1, 2 * SECOND, wait=1_300_000_000, delay=150_000_000, preempted=50_000_000, made=1305),
    )  # fmt: skip
    group = only(between(before, after))
    assert (group.role, group.process, group.pids, group.alive) == (Role.LOOP, "srv", (7,), 1)
    assert (group.calls, group.errors, group.bytes) == (250, 10, 12_800)
    assert (group.wall, group.asleep, group.run_queue, group.cpu) == (SECOND, 700_000_000, 100_000_000, 200_000_000)
    (wait,) = group.waits
    assert (wait.call, wait.queue, wait.ns, wait.ended, wait.asleep_now) == ("epoll_wait", "epoll", 700_000_000, 90, 0)
    assert wait.ended_by[0][0].task == "wrk" and dict(group.named_calls) == {"recvfrom": 210, "epoll_wait": 40}


def test_a_thread_that_sleeps_all_the_time_is_asleep_though_no_sum_grows() -> None:
    program = Program()
    before = program.moment(SECOND, thread(1, 7, 7, "srv"), asleep(1, SECOND, SECOND // 2, "futex", 4))
    after = program.moment(2 * SECOND, asleep(1, 2 * SECOND, SECOND // 2, "futex", 4))
    group = only(between(before, after))
    assert (group.asleep, group.cpu, group.calls) == (SECOND, 0, 0)
    (wait,) = group.waits
    assert (wait.call, wait.queue, wait.ns, wait.ended, wait.asleep_now) == ("futex", "futex", SECOND, 0, 1)


@pytest.mark.parametrize(("woken_at", "asleep_ns", "delay"), [(0, SECOND, 0), (3 * SECOND // 2, SECOND // 2, SECOND // 2)])
def test_a_woken_thread_without_a_cpu_is_in_the_run_queue(woken_at: int, asleep_ns: int, delay: int) -> None:
    program = Program()
    before = program.moment(SECOND, thread(1, 7, 7, "srv"), state(1, SECOND))
    after = program.moment(2 * SECOND, asleep(1, 2 * SECOND, SECOND, "futex", 4, woken_at=woken_at))
    group = only(between(before, after))
    assert (group.asleep, group.run_queue, group.cpu) == (asleep_ns, delay, 0)
    assert [wait.asleep_now for wait in group.waits] == ([1] if not woken_at else [])


def test_a_sleep_that_began_earlier_counts_for_its_part_in_the_interval() -> None:
    """The row of sleeps grows by 10 s, when the thread wakes in the middle of the last second."""
    program = Program()
    before = program.moment(10 * SECOND, thread(1, 7, 7, "srv"), asleep(1, 10 * SECOND, 0, "futex", 4))
    after = program.moment(
        11 * SECOND,
        sleeps(1, "futex", 1, 10 * SECOND + SECOND // 2, 4, 5),
        state(1, 11 * SECOND, wait=10 * SECOND + SECOND // 2),
    )
    group = only(between(before, after))
    assert (group.asleep, group.cpu) == (SECOND // 2, SECOND // 2)
    assert [(wait.ns, wait.ended) for wait in group.waits] == [(SECOND // 2, 1)]


def test_a_thread_that_ended_counts_until_its_end_and_then_no_more() -> None:
    program = Program()
    before = program.moment(SECOND, thread(1, 7, 7, "main"), thread(2, 8, 7, "pool-1", 1), state(1, SECOND), state(2, SECOND))
    end = record(Kind.EXIT, thread=2, end=SECOND + SECOND // 4, in_wait=SECOND, made=10, comm="pool-1")
    after = program.moment(2 * SECOND, end, state(1, 2 * SECOND))
    later = program.moment(3 * SECOND, state(1, 3 * SECOND))
    ended = next(group for group in between(before, after).groups if group.name == "pool-1")
    assert (ended.alive, ended.threads, ended.wall, ended.calls) == (0, 1, SECOND // 4, 10)
    assert [group.name for group in between(after, later).groups] == ["main"]
    assert {group.name for group in between(before, later).groups} == {"main", "pool-1"}


def test_threads_of_a_kind_are_one_group_and_processes_of_one_parent_too() -> None:
    program = Program()
    pool = [thread(10 + n, 20 + n, 7, f"pool-{n}", 1) for n in range(3)]
    workers = [thread(30 + n, 40 + n, 40 + n, "srv", 1) for n in range(2)]
    accepted = [row(30 + n, call, 4, 0) for n in range(2) for call in ("accept4", "epoll_wait")]
    before = program.moment(SECOND, thread(1, 7, 7, "srv"), *pool, *workers)
    after = program.moment(2 * SECOND, *accepted, state(1, 2 * SECOND))
    groups = {(group.role, group.name): group for group in between(before, after).groups}
    assert groups[Role.IDLE, "pool-N"].threads == 3
    assert groups[Role.LOOP, "srv"].pids == (40, 41) and groups[Role.MASTER, "srv"].pids == (7,)
    assert between(before, after).names[31] == "the event loop of srv (41)"


def test_the_calls_of_threads_without_an_account_are_in_no_group() -> None:
    program = Program()
    before = program.moment(SECOND, thread(1, 7, 7, "srv"), state(1, SECOND))
    after = program.moment(2 * SECOND, row(0xFFFFFFFF, "recvfrom", 30), state(1, 2 * SECOND))
    assert between(before, after).unlisted == 30 and only(between(before, after)).calls == 0


def test_an_open_burst_and_its_row_are_one_sum() -> None:
    program = Program()
    before = program.moment(
        SECOND, thread(1, 7, 7, "srv"), row(1, "recvfrom", 3), row(1, "recvfrom", 4), state(1, SECOND, made=7)
    )
    after = program.moment(2 * SECOND, row(1, "recvfrom", 9), state(1, 2 * SECOND, made=9))
    assert dict(only(between(before, after)).named_calls) == {"recvfrom": 2}
