"""The threads and processes of a run as JSON data: where each thread slept, for how long, and what woke it."""

from __future__ import annotations

import collections
from typing import Any

from findings.part import Part
from findings.sleeps.causes import Cause
from findings.sleeps.where import Slept, Where
from findings.threads.endings import Ended, signal_name
from probes.measure.result import Thread
from runs.report import Report


def part(shown: Part) -> dict[str, Any] | None:
    """The part of the run that the document is about; null: the whole run."""
    if not shown:
        return None
    return {"threads": list(shown.threads), "calls": list(shown.calls), "fds": list(shown.fds), "ports": list(shown.ports)}


def threads(where: Where) -> list[dict[str, Any]]:
    """Each thread with the account of its life and its sleeps."""
    of = {thread.serial: thread for thread in where.result.threads}
    return [_thread(thread) | {"slept_on": [_slept(group, of) for group in slept]} for thread, slept in where.threads]


def _thread(thread: Thread) -> dict[str, Any]:
    return {
        "serial": thread.serial,
        "tid": thread.tid,
        "pid": thread.pid,
        "name": thread.name,
        "wall_ns": thread.wall,
        "user_ns": thread.user,
        "wait_ns": thread.wait,
        "sched_delay_ns": thread.sched_delay,
        "preempted_ns": thread.preempted,
        "copy_ns": thread.copy,
        "kernel_ns": thread.kernel,
        "calls": thread.calls,
        "voluntary_switches": thread.voluntary_switches,
        "involuntary_switches": thread.involuntary_switches,
        "ended": thread.ended,
        "ended_by": _thread_ending(thread),
        "kernel_worker": thread.kernel_worker,
    }


def _thread_ending(thread: Thread) -> dict[str, Any] | None:
    """How a thread ended; null for a thread that was alive when the recording ended, or if the recording does not say."""
    ending = thread.ended_by
    if ending is None:
        return None
    signal = signal_name(ending.signal) if ending.signal else None
    return {"status": None if signal else ending.status, "signal": signal, "core": ending.core}


def _slept(slept: Slept, of: dict[int, Thread]) -> dict[str, Any]:
    """The sleeps in calls of one name on one queue; `call` is null outside calls."""
    chains: collections.Counter[str] = collections.Counter()
    for cause, number in slept.ended_by:
        if cause.chain:
            chains[" -> ".join(cause.chain)] += number
    ordered = chains.most_common()
    return {
        "call": slept.call or None,
        "queue": slept.queue,
        "count": slept.count,
        "ns": slept.ns,
        "idle_ns": slept.idle,
        "held_up_ns": slept.held_up,
        "p50_ns": slept.lasted.p50,
        "p99_ns": slept.lasted.p99,
        "longest_ns": slept.lasted.longest,
        "longest_began_ns": slept.longest_began,
        "histogram": [{"from_ns": 1 << power, "count": number} for power, number in slept.histogram.items()],
        "woken_by": [chain for chain, _ in ordered],
        "woken_by_count": [number for _, number in ordered],
        "wakers": [_waker(cause, number, of) for cause, number in slept.ended_by if cause.chain],
    }


def _waker(cause: Cause, number: int, of: dict[int, Thread]) -> dict[str, Any]:
    """A task that woke the thread; all null: an interrupt. `tid` and `pid` are null for a task that was not followed."""
    thread = of.get(cause.thread) if cause.thread is not None else None
    return {
        "tid": thread.tid if thread else None,
        "pid": thread.pid if thread else None,
        "name": thread.name if thread else cause.task or None,
        "chain": " -> ".join(cause.chain),
        "count": number,
    }


def _ending(ended: Ended | None) -> dict[str, Any] | None:
    """How a process ended; null for a process that was alive when the recording ended."""
    if ended is None:
        return None
    signal = (ended.signal or "unknown") if ended.by_signal else None
    return {"status": ended.status, "signal": signal, "core": ended.core, "sender": ended.sender.pid if ended.sender else None}


def processes(report: Report) -> list[dict[str, Any]]:
    """What each process did, sorted by CPU time, the most first."""
    ended = {ended.process.pid: ended for ended in report.endings}
    return [
        {
            "pid": work.pid,
            "name": work.name,
            "threads": len(work.threads),
            "wall_ns": work.wall,
            "cpu_user_ns": work.user,
            "cpu_kernel_ns": work.system,
            "no_cpu_ns": work.wanting,
            "calls": work.calls,
            "received_bytes": work.received,
            "sent_bytes": work.sent,
            "messages": work.messages,
            "ended_by": _ending(ended.get(work.pid)),
        }
        for work in report.processes
    ]
