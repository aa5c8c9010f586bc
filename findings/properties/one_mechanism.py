"""A thread waits by one mechanism: select, poll, epoll, signals or completions, and not by two of them in turn."""

from __future__ import annotations

import collections

from findings.properties.property import Observation, Property, broken, held, not_shown
from findings.view import Run
from probes.kernel import syscalls
from probes.measure.result import Call
from probes.words import count, times

# The calls by which a thread waits for several descriptors or operations, by the mechanism that they stand for.
_MECHANISMS = (
    dict.fromkeys(("select", "pselect6"), "select")
    | dict.fromkeys(("poll", "ppoll"), "poll")
    | dict.fromkeys(syscalls.EPOLL_WAITS, "epoll")
    | dict.fromkeys(("rt_sigtimedwait", "rt_sigsuspend", "pause"), "signals")
    | {"io_uring_enter": "io_uring"}
    | dict.fromkeys(("io_getevents", "io_pgetevents"), "native AIO")
)


def observe(run: Run) -> Observation:
    """Counts the waits of each thread by mechanism."""
    mixed = []
    counted: collections.Counter[str] = collections.Counter()
    for thread in run.result.threads:
        own: collections.Counter[str] = collections.Counter()
        for call in run.calls_of.get(thread.serial, ()):
            if call.name in _MECHANISMS and not _only_submits(call):
                own[_MECHANISMS[call.name]] += call.count
        counted += own
        if len(own) > 1:
            mixed.append((thread, own))
    if not counted:
        return not_shown("no thread waits by a mechanism for several descriptors")
    if not mixed:
        return held(", ".join(f"{count(number, 'wait')} by {name}" for name, number in counted.most_common()))
    thread, own = mixed[0]
    waits = " and ".join(f"{times(number)} by {name}" for name, number in own.most_common())
    return broken(f"thread {thread.name} waits {waits}")


def _only_submits(call: Call) -> bool:
    """io_uring_enter with min_complete 0 hands in requests, and waits for nothing."""
    return call.name == "io_uring_enter" and not call.sleeps and len(call.args) > 2 and not call.args[2] & 0xFFFFFFFF


ONE_MECHANISM = Property(
    id="one-mechanism",
    statement="each thread waits by one mechanism",
    remedy="give all descriptors to one multiplexer; an epoll descriptor can stand in another's set, if two are needed",
    observe=observe,
)
