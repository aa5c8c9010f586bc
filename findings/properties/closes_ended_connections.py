"""A connection that its client has ended is closed."""

from __future__ import annotations

import math

from findings.connections import connections
from findings.properties.property import Observation, Property, broken, held, not_shown
from findings.view import Run, ended_by_signal
from probes.measure.result import Call
from probes.words import count


def observe(run: Run) -> Observation:
    """Each connection from which a read got 0 bytes must be closed.

    A signal ends the server: the closes after its last interrupted call belong to the end of the process. A read that was its
    thread's last call says nothing.
    """
    last = {thread: calls[-1] for thread, calls in run.calls_of.items()}
    ended = [each for each in connections(run) if each.ended and each.ended is not last[each.ended.thread]]
    if not ended:
        return not_shown("no read got 0 bytes from a connection that its own process had accepted")
    interrupted = {thread: _last_interrupted(calls) for thread, calls in run.calls_of.items()}
    left = [each for each in ended if not each.closed or each.closed.enter > interrupted[each.closed.thread]]
    if not left:
        return held(f"the server closed {count(len(ended), 'connection')} that had ended")
    return broken(f"the server never closed {len(left)} of {count(len(ended), 'connection')} that had ended")


def _last_interrupted(calls: list[Call]) -> float:
    """When the last call began that a signal interrupted."""
    names = ("exit", "exit_group", "rt_sigreturn")  # these never return, or return what the interrupted call had
    return next((call.enter for call in reversed(calls) if ended_by_signal(call) and call.name not in names), math.inf)


CLOSES_ENDED_CONNECTIONS = Property(
    id="closes-ended-connections",
    statement="a connection that its client has ended is closed",
    remedy="close the socket when a read returns 0 bytes; else each client costs a descriptor, until none is left",
    observe=observe,
)
