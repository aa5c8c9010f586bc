"""How calls ended: what the classes must not confuse, and a program that counts its own outcomes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from findings.never_began import never_began
from findings.outcomes import CallOutcomes, Outcome, of_thread, outcomes
from probes.measure.result import Call, Sleep
from probes.measure.wakers import Waker
from tests.conftest import Followed

_SOCKET = Sleep(off=10, woken=20, on=21, queue="socket", stack=("sk_wait_data",), waker=None)


def call(name: str, result: int | None = 0, errno: str | None = None, **more: Any) -> Call:
    values: dict[str, Any] = {
        "thread": 1,
        "fd": None,
        "args": (3, 0, 100, 0),
        "enter": 0,
        "exit": 9,
        "bytes": max(result or 0, 0),
    }
    values |= {"total": 9, "wait": 0, "sched_delay": 0, "preempted": 0, "copy": 0, "kernel": 9}
    return Call(name=name, result=result, errno=errno, **values | more)


def ended_by(chain: str) -> tuple[Sleep, ...]:
    return (Sleep(off=10, woken=20, on=21, queue="socket", stack=(), waker=Waker("x", 1, (chain,), ())),)


def kinds(*calls: Call, arch: str = "x86_64") -> list[str]:
    return [str(ended.outcome) for ended in of_thread(calls, arch)]


@pytest.mark.parametrize(
    ("outcome", "made"),
    [
        ("done", call("sendto", 100)),
        ("short", call("sendto", 60)),
        ("short", call("read", 60)),
        ("done", call("writev", 60)),  # how much it should write is not recorded
        ("end of data", call("read", 0)),
        ("done", call("read", 0, args=(3, 0, 0, 0))),  # nothing was asked for
        ("done", call("write", 0x7FFFF000, args=(3, 0, 1 << 40, 0))),  # no call moves more
        ("failed", call("read", -11, "EAGAIN")),
        ("failed", call("recvfrom", -11, "EAGAIN", sleeps=ended_by("packet"))),
        ("timed out", call("recvfrom", -11, "EAGAIN", sleeps=ended_by("timer"))),
        ("timed out", call("futex", -110, "ETIMEDOUT")),
        ("timed out", call("epoll_wait", 0, args=(3, 0, 8, 5))),
        ("nothing ready", call("epoll_wait", 0, args=(3, 0, 8, 0))),
        ("nothing ready", call("epoll_wait", 0, args=(3,), count=40, histogram=(40,))),
        ("timed out", call("ppoll", 0, sleeps=(_SOCKET,))),
        ("nothing ready", call("ppoll", 0)),
        ("unfinished", call("read", None)),
        ("refused", call("getppid", -1, "EPERM", refused=True)),
        ("refused", call("getppid", 4711, refused=True)),
    ],
)
def test_one_call_has_its_outcome(outcome: str, made: Call) -> None:
    assert kinds(made) == [outcome]


def interrupted(name: str = "recvfrom", errno: str = "ERESTARTSYS", **more: Any) -> Call:
    return call(name, -512, errno, **more)


def test_the_result_of_rt_sigreturn_decides() -> None:
    back = call("rt_sigreturn", -4)
    again = call("rt_sigreturn", 45)  # recvfrom's number on x86_64
    assert kinds(interrupted(), back) == ["interrupted", "done"]
    assert kinds(interrupted(), again, call("recvfrom", 100)) == ["restarted", "done", "done"]
    assert kinds(interrupted(), call("rt_sigreturn", 3), arch="aarch64") == ["restarted", "done"], "its first argument"
    assert kinds(call("epoll_wait", -4, "EINTR"), back) == ["interrupted", "done"]
    assert kinds(interrupted("pause", "ERESTARTNOHAND"), back) == ["done", "done"], "pause always ends so"


def test_a_handler_makes_calls_and_may_be_interrupted_itself() -> None:
    inner, outer = call("rt_sigreturn", 1), call("rt_sigreturn", -4)
    assert kinds(interrupted(), call("write", 100), outer) == ["interrupted", "done", "done"]
    nested = kinds(interrupted(), interrupted("write"), inner, call("write", 100), outer)
    assert nested == ["interrupted", "restarted", "done", "done", "done"]
    # two handlers ran one after the other: the first rt_sigreturn leads to the start of the other handler
    assert kinds(interrupted(), call("rt_sigreturn", 0), outer) == ["interrupted", "done", "done"]


def test_without_a_handler_the_kernel_makes_the_same_call_again() -> None:
    assert kinds(interrupted(), call("recvfrom", 100)) == ["restarted", "done"]
    assert kinds(interrupted("nanosleep", "ERESTART_RESTARTBLOCK"), call("restart_syscall", 0)) == ["restarted", "done"]
    assert kinds(interrupted(), call("recvfrom", 100, args=(4, 0, 100, 0))) == ["cut off", "done"], "another descriptor"


def test_a_call_that_a_signal_ended_for_good_is_cut_off() -> None:
    assert kinds(interrupted(), call("exit_group", None)) == ["cut off", "unfinished"]
    assert kinds(interrupted()) == ["cut off"]


@pytest.mark.live
def test_the_outcomes_are_those_that_the_program_saw(follow: Callable[..., Followed], compiled: Callable[..., Path]) -> None:
    run = follow(compiled("outcomes"))
    assert run.result.events.sound, run.result.events
    saw = json.loads(run.output)
    main = run.result.threads[0]
    found: dict[str, CallOutcomes] = {row.name: row for row in outcomes(run.result)}
    reads = of_thread([made for made in run.result.calls if made.thread == main.serial], run.result.machine.arch)
    counted = [ended.outcome for ended in reads if ended.call.name == "read"]
    assert counted.count(Outcome.INTERRUPTED) == saw["interrupted"] == 5
    assert counted.count(Outcome.RESTARTED) == saw["restarted"] > 0
    assert found["sendto"].counts == {Outcome.SHORT: saw["short"], Outcome.FAILED: saw["eagain"]} and saw["short"]
    assert (found["sendto"].short_moved, found["sendto"].errors) == (saw["short_moved"], {"EAGAIN": saw["eagain"]})
    assert found["recvfrom"].counts[Outcome.TIMED_OUT] == 3 and found["recvfrom"].counts[Outcome.END] == 1
    assert found["epoll_wait"].counts == {Outcome.TIMED_OUT: 2, Outcome.NOTHING_READY: 6}
    assert found["read"].counts[Outcome.RESTARTED] == saw["restarted"] + 1, "the child that was stopped"
    refused = {(row.name, row.errno, row.count, row.supervised) for row in never_began(run.result)}
    assert refused == {("getppid", "EPERM", 4, False), ("getuid", "ENOSYS", 2, False)}
