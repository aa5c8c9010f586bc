"""The counts that a classification quotes, in words."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping, Sequence

from findings.descriptors.registrations import EPOLLET
from findings.models.behaviour import Behaviour, Use
from findings.models.descriptors import Descriptor
from findings.models.model import Mechanism
from probes.measure.result import Result, Thread
from probes.words import count, times


def about_waits(uses: Sequence[Use], threads: Mapping[int, Thread], mechanism: Mechanism | None) -> tuple[str, ...]:
    """Which share of their sleep these threads spent in select, poll, epoll_wait and their like."""
    asleep = sum(threads[use.serial].wait for use in uses)
    total: collections.Counter[Mechanism] = collections.Counter()
    names: dict[Mechanism, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for use in uses:
        for each, waits in use.waits.items():
            total[each] += waits.ns
            names[each].update(waits.names)
    wanted = {Mechanism.EPOLL_EDGE: Mechanism.EPOLL}.get(mechanism, mechanism) if mechanism else None
    shown = [(each, ns) for each, ns in total.most_common() if ns and (each == wanted or ns >= 0.01 * asleep)]
    return tuple(
        f"{min(ns / asleep, 1):.1%} of {'its' if len(uses) == 1 else 'their'} sleep was in {_names(names[each])}"
        for each, ns in shown
        if asleep
    )


def about_reads(uses: Sequence[Use]) -> tuple[str, ...]:
    """What announced the data that these threads read."""
    served = sum(use.served for use in uses)
    names: collections.Counter[str] = collections.Counter()
    slept = sum(use.slept for use in uses)
    for use in uses:
        names.update(use.read_names)
    if not names:
        completed = sum(use.reads[Mechanism.IO_URING] + use.reads[Mechanism.NATIVE_AIO] for use in uses)
        return (f"{count(completed, 'completion')} returned clients' data; no call read it",) if completed else ()
    found = [f"{_names(names)} returned clients' data {times(served)}, and {_slept(slept, served)}"]
    timed = sum(use.timed for use in uses)
    if timed:
        found.append(f"{timed:,} of these reads followed a wait for that connection alone: a blocking read with a time-out")
    refused = sum(use.refused for use in uses)
    if refused:
        found.append(f"{refused:,} reads got EAGAIN")
    accepts_refused = sum(use.accepts_refused for use in uses)
    if accepts_refused > sum(use.accepts for use in uses):
        found.append(f"{accepts_refused:,} accepts got EAGAIN")
    return tuple(found)


def _slept(slept: int, served: int) -> str:
    if not slept:
        return "never slept"
    return "slept each time" if slept == served else f"slept {slept:,} of these times"


def about_epoll(connections: Iterable[Descriptor], mechanism: Mechanism) -> tuple[str, ...]:
    """How many connections were in epoll sets, and how many of these edge-triggered."""
    if mechanism not in (Mechanism.EPOLL, Mechanism.EPOLL_EDGE):
        return ()
    known = [connection.events for connection in connections if connection.events]
    if not known:
        return ("no epoll_ctl that adds a connection was recorded: edge-triggered or not is not known",)
    edge = sum(1 for events in known if events & EPOLLET)
    return (f"{count(len(known), 'connection')} in epoll sets, {edge:,} of them edge-triggered (EPOLLET)",)


def coverage(result: Result, seen: Behaviour) -> tuple[str, ...]:
    """The share of the calls that the recording has in detail, where it lacks some."""
    of = _made(result)
    if seen.calls >= of:
        return ()
    return (f"read from {seen.calls:,} of {of:,} calls: the recording has no details of the others",)


def _made(result: Result) -> int:
    """All calls of the program, also those without details."""
    return sum(thread.calls for thread in result.threads)


def what_else(result: Result, seen: Behaviour) -> str:
    """What a program does that neither serves clients nor talks to servers."""
    reads = sum(use.other_reads for use in seen.uses.values())
    writes = sum(use.other_writes for use in seen.uses.values())
    children = len({seen.process_of[thread.serial] for thread in result.threads}) - 1
    parts = []
    if children > 0:
        parts.append(f"starts {count(children, 'process')}")
    least = "at least " if seen.calls < _made(result) else ""  # the kind of a descriptor stands in the details
    deeds = (("reads", reads), ("writes", writes))
    parts += [f"{deed} files and pipes {least}{times(number)}" for deed, number in deeds if number]
    return "it " + (" and ".join(parts) if parts else "makes no reads or writes")


def _names(names: collections.Counter[str]) -> str:
    return " and ".join(name for name, _number in names.most_common(2))
