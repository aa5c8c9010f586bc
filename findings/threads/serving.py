"""The servers of a recording, each by the process id that it has in its own namespace, from the moment it listens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from signal import Signals

from probes.kernel import syscalls
from probes.measure.result import AnsweredBy, Call, Message, Result, Thread
from probes.measure.table import table

_PHASES = ("wait", "sched_delay", "preempted", "copy", "kernel")
_MOST = 0.9  # of a thread's life: a thread of a runtime sleeps


class Servers:
    """A result taken apart once: a recording of a class has many servers, and a spinning server has many calls."""

    def __init__(self, result: Result) -> None:
        self.result = result

    @cached_property
    def _threads(self) -> dict[int, list[Thread]]:
        """The threads of each server, by the process id of the first of them."""
        server_of: dict[int, int] = {}
        found: dict[int, list[Thread]] = {}
        for thread in sorted(self.result.threads, key=lambda thread: thread.start):
            pid = server_of.get(thread.parent, thread.pid) if thread.parent else thread.pid
            server_of[thread.serial] = pid
            found.setdefault(pid, []).append(thread)
        return found

    @cached_property
    def _calls(self) -> dict[int, list[Call]]:
        calls: dict[int, list[Call]] = {}
        for call in self.result.calls:
            calls.setdefault(call.thread, []).append(call)
        return calls

    @cached_property
    def _messages(self) -> dict[int, list[Message]]:
        messages: dict[int, list[Message]] = {}
        for message in self.result.messages:
            messages.setdefault(message.thread, []).append(message)
        return messages

    def _listen(self, pid: int) -> Call | None:
        """The last call of listen of the server `pid` or of a process that it started."""
        calls = (call for thread in self._threads.get(pid, ()) for call in self._calls.get(thread.serial, ()))
        return max(
            (call for call in calls if call.name == "listen" and call.result == 0), key=lambda call: call.exit, default=None
        )

    def _serves(self, thread: Thread, since: int) -> bool:
        """Did the thread accept, read or write on a socket after that moment?"""
        return any(
            call.enter >= since and (call.socket is not None or call.name in syscalls.ACCEPTS)
            for call in self._calls.get(thread.serial, ())
        )

    def _last_served(self, threads: Sequence[Thread], since: int) -> int:
        """The end of the last call that accepted, read or wrote. A thread may start later: Java starts a thread for SIGTERM."""
        ends = (
            call.exit
            for thread in threads
            for call in self._calls.get(thread.serial, ())
            if call.socket is not None or call.name in syscalls.ACCEPTS
        )
        return max(ends, default=since)

    def calls_of(self, pid: int) -> int:
        """How many calls the server made, from its start on."""
        return sum(thread.calls for thread in self._threads.get(pid, ()))

    def refused(self, pid: int) -> dict[str, int]:
        """The system calls of the server that a seccomp filter refused, from its start on: names and numbers."""
        found: dict[str, int] = {}
        for thread in self._threads.get(pid, ()):
            for call in self._calls.get(thread.serial, ()):
                if call.refused and call.answered_by is AnsweredBy.FILTER:
                    found[call.name] = found.get(call.name, 0) + call.count
        return found

    def listened_at(self, pid: int) -> int | None:
        """When the server began to listen, ns."""
        listen = self._listen(pid)
        return listen.exit if listen else None

    def from_its_listening(self, pid: int, idle: bool = True) -> Result:
        """The calls of the server after its listen, and the threads that lived then: without the start of an interpreter.

        The process that listens comes first among the threads: a shell may have started it. Without a call of listen all stays.
        `idle` False leaves out the threads of a runtime: they started before the listen or after the last service, served no
        connection, and did little.
        """
        threads = self._threads.get(pid, [])
        if listen := self._listen(pid):
            kept = [thread for thread in _below(threads, listen.thread) if thread.end > listen.exit]
            threads = [_since(thread, listen.enter, self._calls.get(thread.serial, ())) for thread in kept]
            threads.sort(key=lambda thread: (thread.serial != listen.thread, thread.start))
            if not idle:
                served = self._last_served(threads, listen.exit)
                threads = [
                    thread
                    for thread in threads
                    if thread.serial == listen.thread
                    or listen.exit < thread.start < served
                    or thread.awake > _MOST * thread.wall
                    or self._serves(thread, listen.exit)
                ]
        begin = listen.enter if listen else 0  # the call of listen shows which descriptor is the listener
        calls = [
            call for thread in threads for call in self._calls.get(thread.serial, ()) if call.enter >= begin or _lasts(call)
        ]
        calls.sort(key=lambda call: call.enter)
        messages = [message for thread in threads for message in self._messages.get(thread.serial, ())]
        messages.sort(key=lambda message: message.ready)
        kept_serials = {thread.serial for thread in threads}
        return replace(
            self.result,
            calls=tuple(calls),
            rows=table(calls, self.result.probes),
            messages=tuple(messages),
            threads=tuple(threads),
            socket_names=tuple(name for name in self.result.socket_names if name.thread in kept_serials),
            socket_ends=tuple(end for end in self.result.socket_ends if end.name.thread in kept_serials),
        )


def _lasts(call: Call) -> bool:
    """Does the call decide what happens to later children? A parent may ignore SIGCHLD before it listens (wait(2))."""
    return call.name == "rt_sigaction" and call.args[:1] == (Signals.SIGCHLD,)


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
    sums of these times are known, and user code must not be overstated. The same is true of a call that was under way at
    `begin`, such as the wait of an idle thread of a runtime.
    """
    if thread.start >= begin:
        return thread
    later = [call for call in calls if call.enter >= begin]
    outside = {phase: max(getattr(thread, phase) - sum(getattr(call, phase) for call in calls), 0) for phase in _PHASES}
    inside = {phase: sum(getattr(call, phase) for call in later) for phase in _PHASES}
    for call in calls:
        if call.enter < begin < call.exit:
            inside = _added(inside, call, call.exit - begin)
    left = thread.end - begin - sum(inside.values())
    phases = {}
    for phase, part in inside.items():
        added = min(outside[phase], max(left, 0))
        phases[phase], left = part + added, left - added
    return replace(
        thread, start=begin, user=max(left, 0), calls=sum(call.count for call in later), parent=thread.parent, **phases
    )


def _added(inside: dict[str, int], call: Call, most: int) -> dict[str, int]:
    """Adds the phases of a call, at most `most` ns in all: first the waits, which come last in most calls."""
    added = dict(inside)
    for phase in _PHASES:
        part = min(getattr(call, phase), most)
        added[phase] += part
        most -= part
    return added
