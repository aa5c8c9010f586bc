"""Which threads are event loops: found by what they call, without knowledge of the program."""

from __future__ import annotations

import collections
from dataclasses import dataclass

from findings.view import Run
from probes.context import LabRun
from probes.kernel import syscalls
from probes.measure.result import Call, Sleep, Thread

_WAITS = 3  # fewer waits are no loop
_WAITS_OF_COMPLETIONS = syscalls.AIO_WAITS | {"io_uring_enter"}
_POLLS = {"poll", "ppoll"}
_SELECTS = {"select", "pselect6"}


@dataclass(frozen=True)
class Loop:
    """A thread that waits for events of several sources, from the start of its first wait to the end of its last."""

    thread: Thread
    calls: list[Call]  # all calls in this time
    waits: frozenset[str]  # the calls in which it waits for events
    sources: int  # how many descriptors it read from or accepted from

    @property
    def begin(self) -> int:
        """The start of its first wait."""
        return self.calls[0].enter

    @property
    def end(self) -> int:
        """The end of its last wait."""
        return self.calls[-1].exit

    def in_wait(self, call: Call) -> bool:
        """Is the call its wait? A poll of one descriptor in a loop that waits in epoll is not: it waits for that one alone."""
        return call.name in self.waits and not (call.name in _POLLS and len(self.waits) > 1 and _polls_one(call))


def event_loops(run: Run) -> list[Loop]:
    """The event loops of a run.

    The server of a lab is known: each of its threads that waits for events is an event loop. In any other program a thread that
    waits may serve one peer only, which is no event loop: a client that polls its one socket, a process that serves one
    connection. An event loop registers descriptors with epoll, or passes two or more to poll, or reads from several.
    """
    known = isinstance(run.result.context, LabRun)
    return [
        loop
        for thread in run.result.threads
        if (loop := _loop(thread, run.calls_of.get(thread.serial, []))) and (known or _serves_several(loop))
    ]


def _loop(thread: Thread, calls: list[Call]) -> Loop | None:
    waits = [at for at, call in enumerate(calls) if call.name in syscalls.LOOP_WAITS]
    if not waits:
        return None
    within = calls[waits[0] : waits[-1] + 1]
    moved = {call.fd for call in within if call.name in syscalls.READS | syscalls.ACCEPTS and call.result and call.result > 0}
    return Loop(thread, within, frozenset(call.name for call in within if call.name in syscalls.LOOP_WAITS), len(moved))


def _serves_several(loop: Loop) -> bool:
    waits = [call for call in loop.calls if call.name in loop.waits]
    if sum(call.count for call in waits) < _WAITS:
        return False
    names = collections.Counter(call.name for call in waits)
    if loop.waits & syscalls.EPOLL_WAITS:
        # a process that serves one connection, or none, may wait for it in epoll beside its signals (PostgreSQL)
        return loop.sources != 1 or any(call.name in syscalls.ACCEPTS for call in loop.calls)
    if any(names[name] for name in _POLLS):
        return any(call.name in _POLLS and not _polls_one(call) for call in waits) and loop.sources != 1
    if any(names[name] for name in _WAITS_OF_COMPLETIONS):
        return True
    return loop.sources > 1 if any(names[name] for name in _SELECTS) else loop.sources > 0


def _polls_one(call: Call) -> bool:
    return len(call.args) > 1 and call.args[1] < 2


def waits_for_connections(loop: Loop) -> bool:
    """Does the loop wait for its connections by its multiplexer, and not only for the next connection to accept?

    The number that select and poll are given grows with the connections; epoll_ctl adds them.
    """
    if any(call.name == "epoll_ctl" for call in loop.calls) or not loop.waits & (_POLLS | _SELECTS):
        return True
    accepted = {call.result for call in loop.calls if call.name in syscalls.ACCEPTS and call.result is not None}
    if loop.waits & _SELECTS:
        return any(call.args[0] > min(accepted, default=0) for call in loop.calls if call.name in _SELECTS and call.args)
    return len({call.args[1] for call in loop.calls if call.name in _POLLS and len(call.args) > 1}) > 1


class OtherWaiters:
    """Threads that take turns in the wait for one epoll instance: while one handles an event, another waits."""

    def __init__(self, run: Run) -> None:
        processes = {thread.serial: thread.pid for thread in run.result.threads}
        self._process = processes
        self._waits: dict[tuple[int, int | None], list[Call]] = collections.defaultdict(list)
        self._of: dict[int, set[int | None]] = collections.defaultdict(set)
        for call in run.result.calls:
            if call.name in syscalls.EPOLL_WAITS:
                self._waits[processes[call.thread], call.fd].append(call)
                self._of[call.thread].add(call.fd)
        self._shared = {key for key, calls in self._waits.items() if len({call.thread for call in calls}) > 1}

    def waited(self, thread: int, sleep: Sleep) -> bool:
        """Did another thread wait in the same epoll instance during this sleep?"""
        return any(
            other.thread != thread and other.enter < sleep.woken and other.exit > sleep.off
            for fd in self._of.get(thread, ())
            if (self._process[thread], fd) in self._shared
            for other in self._waits[self._process[thread], fd]
        )
