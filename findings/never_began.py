"""Calls that never began, though a program made them: a seccomp filter, its supervisor or a tracer answered them first."""

from __future__ import annotations

import collections
from dataclasses import dataclass

from probes.measure.queues import Queue
from probes.measure.result import AnsweredBy, Result


@dataclass(frozen=True, slots=True)
class NeverBegan:
    """Calls of one name with one answer. No errno and no result: the filter sent SIGSYS, or a signal ended the thread."""

    name: str
    errno: str | None
    result: int | None
    count: int
    supervised: bool  # a thread that made such calls waited for a supervisor: the answer may be the supervisor's
    by: AnsweredBy = AnsweredBy.FILTER


_Key = tuple[str, str | None, int | None, AnsweredBy]


def never_began(result: Result) -> tuple[NeverBegan, ...]:
    """The calls that never began, by name and answer, the most frequent first."""
    supervised = {
        thread.serial for thread in result.threads if any(slept.queue == Queue.SUPERVISOR for slept in thread.slept_on)
    }
    counts: collections.Counter[_Key] = collections.Counter()
    by_supervisor: set[_Key] = set()
    for call in result.calls:
        if call.refused:
            key = (call.name, call.errno, None if call.errno else call.result, call.answered_by or AnsweredBy.FILTER)
            counts[key] += call.count
            if call.thread in supervised:
                by_supervisor.add(key)
    return tuple(
        NeverBegan(name, errno, answer, number, (name, errno, answer, by) in by_supervisor, by)
        for (name, errno, answer, by), number in counts.most_common()
    )
