"""Calls that never began, though a program made them: a seccomp filter or its supervisor answered them first."""

from __future__ import annotations

import collections
from dataclasses import dataclass

from probes.measure.queues import Queue
from probes.measure.result import Result


@dataclass(frozen=True, slots=True)
class NeverBegan:
    """Calls of one name with one answer. No errno and no result: the filter sent SIGSYS."""

    name: str
    errno: str | None
    result: int | None
    count: int
    supervised: bool  # a thread that made such calls waited for a supervisor: the answer may be the supervisor's


def never_began(result: Result) -> tuple[NeverBegan, ...]:
    """The calls that a seccomp filter answered, by name and answer, the most frequent first."""
    supervised = {
        thread.serial for thread in result.threads if any(slept.queue == Queue.SUPERVISOR for slept in thread.slept_on)
    }
    counts: collections.Counter[tuple[str, str | None, int | None]] = collections.Counter()
    by_supervisor: set[tuple[str, str | None, int | None]] = set()
    for call in result.calls:
        if call.refused:
            key = (call.name, call.errno, None if call.errno else call.result)
            counts[key] += call.count
            if call.thread in supervised:
                by_supervisor.add(key)
    return tuple(NeverBegan(*key, number, key in by_supervisor) for key, number in counts.most_common())
