"""The part of a result that belongs to one server, from the moment it listens: without the start of its interpreter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from findings.view import of_process
from probes.measure.result import Call, Result, Thread
from probes.measure.table import table


def from_its_listening(result: Result, pid: int) -> Result:
    """The calls after the last listen of the process `pid` or of its children, and the threads that lived then.

    The process that listens comes first among the threads: a shell may have started it. Without a call of listen all stays.
    """
    mine = of_process(result, pid)
    listens = [call for call in mine.calls if call.name == "listen" and call.result == 0]
    if not listens:
        return mine
    listen = listens[-1]
    calls = tuple(call for call in mine.calls if call.enter >= listen.exit)
    kept = _below(mine.threads, listen.thread)
    by_thread: dict[int, list[Call]] = {}
    for call in mine.calls:
        by_thread.setdefault(call.thread, []).append(call)
    threads = [_since(thread, listen.exit, by_thread.get(thread.serial, ())) for thread in kept if thread.end > listen.exit]
    threads.sort(key=lambda thread: (thread.serial != listen.thread, thread.start))
    serials = {thread.serial for thread in threads}
    calls = tuple(call for call in calls if call.thread in serials)
    messages = tuple(message for message in mine.messages if message.thread in serials)
    return replace(result, calls=calls, rows=table(calls, result.probes), messages=messages, threads=tuple(threads))


def _below(threads: Sequence[Thread], serial: int) -> list[Thread]:
    """A thread's whole process, and all that this process started."""
    root = next(thread for thread in threads if thread.serial == serial)
    kept = {thread.serial for thread in threads if thread.pid == root.pid}
    for thread in sorted(threads, key=lambda thread: thread.start):
        if thread.parent in kept:
            kept.add(thread.serial)
    return [thread for thread in threads if thread.serial in kept]


def _since(thread: Thread, begin: int, calls: Sequence[Call]) -> Thread:
    """The thread's life from `begin` on. What it did off a CPU outside of calls is counted as later than `begin`: only the
    sums of these times are known, and user code must not be overstated.
    """
    if thread.start >= begin:
        return thread
    later = [call for call in calls if call.enter >= begin]
    outside = {
        phase: max(getattr(thread, phase) - sum(getattr(call, phase) for call in calls), 0)
        for phase in ("wait", "sched_delay", "preempted", "copy", "kernel")
    }
    inside = {phase: sum(getattr(call, phase) for call in later) for phase in outside}
    left = thread.end - begin - sum(inside.values())
    phases = {}
    for phase, part in inside.items():
        added = min(outside[phase], max(left, 0))
        phases[phase], left = part + added, left - added
    return replace(
        thread, start=begin, user=max(left, 0), calls=sum(call.count for call in later), parent=thread.parent, **phases
    )
