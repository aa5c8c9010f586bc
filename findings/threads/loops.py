"""Which threads are event loops: found by what they call, without knowledge of the program."""

from __future__ import annotations

import bisect
import collections
from dataclasses import dataclass

from findings.once import once
from findings.view import Run
from probes.context import LabRun
from probes.kernel import syscalls
from probes.measure.result import Call, Sleep, Thread

_WAITS = 3  # fewer waits are no loop
_WAITS_OF_COMPLETIONS = syscalls.AIO_WAITS | {"io_uring_enter"}
_POLLS = {"poll", "ppoll"}
_SELECTS = {"select", "pselect6"}
_RECEIVES = {"recvfrom", "recvmsg", "recvmmsg"}


@dataclass(frozen=True)
class Loop:
    """A thread that waits for events of several sources, from the start of its first wait to the end of its last."""

    thread: Thread
    calls: list[Call]  # all calls in this time
    waits: frozenset[str]  # the calls in which it waits for events
    sources: int  # how many listeners and connections it took connections or data from

    @property
    def begin(self) -> int:
        """The start of its first wait."""
        return self.calls[0].enter

    @property
    def end(self) -> int:
        """The end of its last wait."""
        return self.calls[-1].exit

    def in_wait(self, call: Call) -> bool:
        """Is the call the wait of the loop? A poll of one descriptor is not, if the loop also waits in epoll."""
        return call.name in self.waits and not (call.name in _POLLS and len(self.waits) > 1 and _polls_one(call))


@once
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
    names = frozenset(call.name for call in within if call.name in syscalls.LOOP_WAITS)
    return Loop(thread, within, names, len({call.fd for call in within if _takes(call)}))


def _takes(call: Call) -> bool:
    """Did the call take a connection, or data from a socket? Reads of files, pipes and eventfds are left out."""
    if not call.result or call.result < 0:
        return False
    return call.name in syscalls.ACCEPTS | _RECEIVES or (call.name in syscalls.READS and call.socket is not None)


def _serves_several(loop: Loop) -> bool:
    waits = [call for call in loop.calls if call.name in loop.waits]
    if sum(call.count for call in waits) < _WAITS:
        return False
    if loop.waits & syscalls.EPOLL_WAITS:
        # A process that serves one connection may wait for it in epoll beside its signals (PostgreSQL does). Time-outs show an
        # event loop that has timers to serve.
        accepts = any(call.name in syscalls.ACCEPTS for call in loop.calls)
        return accepts or loop.sources > 1 or sum(call.result == 0 and bool(call.sleeps) for call in waits) >= _WAITS
    if loop.waits & _POLLS:
        return any(call.name in _POLLS and not _polls_one(call) for call in waits) and loop.sources > 1
    if loop.waits & _WAITS_OF_COMPLETIONS:
        return True
    return loop.sources > 1 if loop.waits & _SELECTS else loop.sources > 0


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
        self._process = {thread.serial: thread.pid for thread in run.result.threads}
        self._waits: dict[tuple[int, int | None], dict[int, list[Call]]] = collections.defaultdict(
            lambda: collections.defaultdict(list)
        )
        self._of: dict[int, set[int | None]] = collections.defaultdict(set)
        for call in run.result.calls:
            if call.name in syscalls.EPOLL_WAITS:
                self._waits[self._process[call.thread], call.fd][call.thread].append(call)
                self._of[call.thread].add(call.fd)

    def waited(self, thread: int, sleep: Sleep) -> bool:
        """Did another thread wait in the same epoll instance during this sleep?"""
        return any(
            other != thread and _waits_within(calls, sleep)
            for fd in self._of.get(thread, ())
            for other, calls in self._waits[self._process[thread], fd].items()
        )


def _waits_within(calls: list[Call], sleep: Sleep) -> bool:
    """Is one of these calls of one thread, which are in order, under way during the sleep?"""
    at = bisect.bisect_left(calls, sleep.woken, key=lambda call: call.enter) - 1
    return at >= 0 and calls[at].exit > sleep.off
