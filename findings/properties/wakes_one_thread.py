"""One connection does not wake many threads of which one can accept it: no thundering herd."""

from __future__ import annotations

from findings.properties.property import Cost, Observation, Place, Property, broken, held, not_shown, place_of
from findings.properties.turns import turns_of
from findings.view import Run
from probes.kernel import syscalls
from probes.measure.result import Call, Thread
from probes.words import count

_THREADS, _MANY, _EACH = 3, 20, 0.75  # threads that are woken without result, and their wake-ups for each accepted connection


def observe(run: Run) -> Observation:
    """Counts the wake-ups of a wait after which all that the thread got was EAGAIN from accept."""
    accepted = len(run.connections)
    if not accepted:
        return not_shown("no call of accept returned a connection")
    threads = {thread.serial: thread for thread in run.result.threads}
    herd = [place for serial, calls in run.calls_of.items() if (place := _lost(threads[serial], calls))]
    number = sum(place.cost.calls for place in herd)
    evidence = f"{count(number, 'wake-up')} for {count(accepted, 'accepted connection')} ended in EAGAIN from accept"
    if len(herd) < _THREADS or number < max(_MANY, _EACH * accepted):
        return held(evidence)
    return broken(f"{evidence}, in {count(len(herd), 'thread')} that wait for one listener", places=herd)


def _lost(thread: Thread, calls: list[Call]) -> Place | None:
    """The wake-ups of one thread that brought EAGAIN and nothing else.

    The recording folds a thread's accepts that got EAGAIN into a burst, which stands at the place of the first of them. So a
    turn without a call may have had one; no thread has more of these turns than such accepts.
    """
    refused = sum(call.count for call in calls if call.name in syscalls.ACCEPTS and call.errno == "EAGAIN")
    if not refused:
        return None
    woken = [turn for turn in turns_of(calls) if turn.slept and (turn.wait.result or 0) > 0]
    turns = [turn for turn in woken if not any(map(_has_result, turn.calls))]
    number = min(len(turns), refused)
    if not number:
        return None
    wait = turns[0].wait
    cost = Cost(ns=sum(turn.wait.total - turn.wait.wait for turn in turns[:number]), calls=number)
    return place_of(thread, wait.name, wait.fd, wait.enter, cost)


def _has_result(call: Call) -> bool:
    return call.name not in syscalls.ACCEPTS or call.errno != "EAGAIN"


WAKES_ONE_THREAD = Property(
    id="wakes-one-thread",
    statement="one connection does not wake many threads that can't accept it",
    fault="one connection wakes many threads (thundering herd)",
    remedy="add the listener with EPOLLEXCLUSIVE, give each thread a listener of its own (SO_REUSEPORT), or block in accept",
    observe=observe,
    lab="thundering_herd",
)
