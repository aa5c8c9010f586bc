"""A thread's turns: from the return of one wait (or poll) to the start of the next, with what the thread did in between."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from findings.view import ended_by_signal
from probes.kernel import syscalls
from probes.measure.result import Call

# A call of these in a turn is a result: data moved, a connection came or went.
_RESULTS = syscalls.READS | syscalls.WRITES | syscalls.ACCEPTS | {"close", "shutdown", "sendfile", "splice", "connect"}


@dataclass(frozen=True)
class Turn:
    """One wait, and the calls that the thread made until its next wait."""

    wait: Call
    calls: list[Call] = field(default_factory=list)

    @property
    def without_result(self) -> int:
        """How many waits of the turn were for nothing: all of a burst but as many as there are results.

        A call that moves data, accepts, or ends a connection is a result; a read of 0 bytes (end of file) alone is none.
        io_uring_enter is the wait and the call that moves data: it submits requests, and it may copy.
        """
        if self.wait.name == "io_uring_enter" and ((self.wait.result or 0) > 0 or self.wait.copied):
            return 0
        results = sum(
            call.name in _RESULTS
            and call.result is not None
            and (call.result > 0 or (call.result == 0 and call.name not in syscalls.READS | syscalls.WRITES))
            for call in self.calls
        )
        return max(self.wait.count - results, 0)

    @property
    def on_cpu(self) -> int:
        """From the start of the wait to the end of the last call, without sleeps and the time without a CPU, ns."""
        calls = [self.wait, *self.calls]
        off = sum(call.wait + call.sched_delay + call.preempted for call in calls)
        return max(max(call.exit for call in calls) - self.wait.enter - off, 0)

    @property
    def slept(self) -> bool:
        """Did the thread sleep in the wait?"""
        return bool(self.wait.sleeps)


def turns_of(calls: Iterable[Call]) -> Iterator[Turn]:
    """The turns of one thread, from its calls in order. A wait that a signal interrupted belongs to no turn."""
    turn: Turn | None = None
    for call in calls:
        if call.name in syscalls.LOOP_WAITS:
            if turn:
                yield turn
            interrupted = ended_by_signal(call) and call.name not in syscalls.SIGNAL_WAITS
            turn = None if interrupted or call.open else Turn(call)
        elif turn:
            turn.calls.append(call)
    if turn:
        yield turn
