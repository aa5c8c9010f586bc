"""A server's part of a recording begins with its listen, and its times still add up."""

from __future__ import annotations

import dataclasses

from findings.threads.serving import Servers
from findings.view import of_process
from probes.measure.result import Result
from tests.conftest import measured

PHASES = ("wait", "sched_delay", "preempted", "copy", "kernel", "user")


def listening(result: Result, share: float) -> tuple[Result, int, int]:
    """The same result with a call of listen after that share of the server's calls; the server's pid, and the listen's end."""
    server = result.threads[0]
    calls = list(result.calls)
    mine = [call for call in calls if call.thread == server.serial]
    before = mine[int(share * len(mine))]
    listen = dataclasses.replace(before, name="listen", result=0, fd=3, sleeps=(), enter=before.exit, exit=before.exit)
    calls.insert(calls.index(before) + 1, listen)
    return dataclasses.replace(result, calls=tuple(calls)), server.pid, listen.exit


def test_without_a_listen_all_stays() -> None:
    result = measured("epoll")
    pid = result.threads[0].pid
    part, whole = Servers(result).from_its_listening(pid), of_process(result, pid)
    assert (part.calls, part.threads, part.messages) == (whole.calls, whole.threads, whole.messages)


def test_calls_before_the_listen_are_left_out_and_the_times_add_up() -> None:
    result, pid, listened = listening(measured("epoll"), 0.5)
    servers = Servers(result)
    part = servers.from_its_listening(pid)
    assert servers.listened_at(pid) == listened
    assert min(call.enter for call in part.calls) >= listened
    assert 0 < len(part.calls) < len(result.calls)
    for thread in part.threads:
        assert thread.start >= listened
        assert sum(getattr(thread, phase) for phase in PHASES) == thread.wall


def test_the_thread_that_listens_comes_first_and_idle_threads_can_be_left_out() -> None:
    result, pid, _listened = listening(measured("threads"), 0.1)
    servers = Servers(result)
    assert servers.from_its_listening(pid).threads[0].serial == result.threads[0].serial
    idle = dataclasses.replace(
        result.threads[0], serial=1 << 21, tid=9, parent=result.threads[0].serial, start=result.threads[0].start
    )
    with_idle = Servers(dataclasses.replace(result, threads=(*result.threads, idle)))
    assert idle.serial in {thread.serial for thread in with_idle.from_its_listening(pid).threads}
    assert idle.serial not in {thread.serial for thread in with_idle.from_its_listening(pid, idle=False).threads}


def test_a_thread_asleep_in_a_call_since_before_the_listen_was_not_in_user_code() -> None:
    result, pid, listened = listening(measured("threads"), 0.1)
    first = result.threads[0]
    wait = next(call for call in result.calls if call.thread == first.serial)
    asleep = first.end - first.start - 1000
    idle = dataclasses.replace(
        first, serial=1 << 21, tid=9, parent=first.serial, user=1000, wait=asleep, sched_delay=0, preempted=0, copy=0, kernel=0
    )
    call = dataclasses.replace(
        wait, thread=idle.serial, name="futex", enter=first.start + 1000, exit=first.end, wait=asleep, total=asleep,
        sched_delay=0, preempted=0, copy=0, kernel=0,
    )  # fmt: skip
    servers = Servers(dataclasses.replace(result, threads=(*result.threads, idle), calls=(*result.calls, call)))
    part = servers.from_its_listening(pid)
    found = next(thread for thread in part.threads if thread.serial == idle.serial)
    assert found.start == listened and found.user == 0 and found.wait == found.wall
    assert idle.serial not in {thread.serial for thread in servers.from_its_listening(pid, idle=False).threads}


def test_what_a_parent_does_with_sigchld_lasts() -> None:
    result, pid, listened = listening(measured("processes"), 0.1)
    first = result.calls[0]
    ignores = dataclasses.replace(first, name="rt_sigaction", args=(17, 1, 0, 8), fd=None)
    part = Servers(dataclasses.replace(result, calls=(ignores, *result.calls))).from_its_listening(pid)
    assert {call.name for call in part.calls if call.enter < listened} == {"rt_sigaction"} and ignores in part.calls


def test_an_unknown_server_has_nothing() -> None:
    part = Servers(measured("epoll")).from_its_listening(77)
    assert (part.calls, part.threads, Servers(part).listened_at(77)) == ((), (), None)


def test_the_sockets_of_other_servers_have_no_name_in_its_part() -> None:
    whole = measured("faults/sockets-addresses")
    assert whole.socket_names and not Servers(whole).from_its_listening(77).socket_names
