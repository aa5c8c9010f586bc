"""A connection that its client has ended is closed."""

from __future__ import annotations

import math

from findings.descriptors.connections import Connection, connections
from findings.properties.property import Cost, Observation, Place, Property, broken, held, not_shown, place_of
from findings.view import Run, ended_by_signal
from probes.context import LabRun
from probes.measure.result import Call
from probes.words import count

_LATER_NS = 1_000_000_000


def observe(run: Run) -> Observation:
    """Each connection from which a read got 0 bytes must be closed. In a program that is not known, an end shortly before the
    end of its thread is left out.

    A signal ends the server: the closes after its last interrupted call belong to the end of the process. A read that was its
    thread's last call says nothing.
    """
    lab = isinstance(run.result.context, LabRun)
    ends = {thread.serial: thread.end for thread in run.result.threads}
    last = {thread: calls[-1] for thread, calls in run.calls_of.items()}
    ended = [
        each
        for each in connections(run)
        if each.ended
        and each.ended is not last[each.ended.thread]
        and (lab or each.closed or ends[each.ended.thread] - each.ended.exit > _LATER_NS)
    ]
    if not ended:
        return not_shown("no read got 0 bytes from a connection that its own process had accepted")
    interrupted = {thread: _last_interrupted(calls) for thread, calls in run.calls_of.items()}
    left = [each for each in ended if not each.closed or each.closed.enter > interrupted[each.closed.thread]]
    if not left:
        return held(f"the program closed {count(len(ended), 'connection')} that had ended")
    return broken(
        f"the program never closed {len(left)} of {count(len(ended), 'connection')} that had ended", places=_places(run, left)
    )


def _places(run: Run, left: list[Connection]) -> list[Place]:
    """A place for each thread that read the end of a connection and did not close it, with the first of them."""
    threads = {thread.serial: thread for thread in run.result.threads}
    ends: dict[int, list[Call]] = {}
    for each in left:
        if each.ended:
            ends.setdefault(each.ended.thread, []).append(each.ended)
    return [
        place_of(threads[serial], ended[0].name, ended[0].fd, ended[0].exit, Cost(calls=len(ended)))
        for serial, ended in ends.items()
    ]


def _last_interrupted(calls: list[Call]) -> float:
    """The start of the last call that a signal interrupted, ns."""
    names = ("exit", "exit_group", "rt_sigreturn")  # these never return, or return what the interrupted call had
    return next((call.enter for call in reversed(calls) if ended_by_signal(call) and call.name not in names), math.inf)


CLOSES_ENDED_CONNECTIONS = Property(
    id="closes-ended-connections",
    statement="a connection that its client has ended is closed",
    fault="connections that have ended stay open",
    remedy="close the socket when a read returns 0 bytes; else each client costs a descriptor, until none is left",
    observe=observe,
    needs_all=True,
)
