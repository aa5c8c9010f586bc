"""Sleeps outside system calls: page faults, stops by signals and by a tracer, and all sleeps of the kernel's own workers."""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import NamedTuple

from probes.measure.result import Result, SleptOn


class OutsideCalls(NamedTuple):
    """The sleeps on one queue of all threads with one name. `worker`: the threads are io_uring's own, which make no calls."""

    thread: str
    worker: bool
    slept: SleptOn


def outside_calls(result: Result) -> list[OutsideCalls]:
    """The sleeps outside calls, by the threads' name and the queue; the longest first."""
    groups: dict[tuple[str, bool, str], list[SleptOn]] = collections.defaultdict(list)
    for thread in result.threads:
        for slept in thread.slept_on:
            groups[thread.name, thread.kernel_worker, slept.queue].append(slept)
    rows = [OutsideCalls(name, worker, _together(group)) for (name, worker, _), group in groups.items()]
    return sorted(rows, key=lambda row: -row.slept.ns)


def _together(group: Sequence[SleptOn]) -> SleptOn:
    """The sleeps of several threads on queues of one kind. How many objects they have in common is not known."""
    chains: collections.Counter[str] = collections.Counter()
    for slept in group:
        chains.update(dict(slept.woken_by))
    return SleptOn(
        queue=group[0].queue,
        count=sum(slept.count for slept in group),
        ns=sum(slept.ns for slept in group),
        woken_by=tuple(chains.most_common()),
        queues=group[0].queues if len(group) == 1 else None,
    )
