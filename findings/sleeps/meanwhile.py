"""What a server's threads did between two moments: where they slept, or what they did instead."""

from __future__ import annotations

import collections
from collections.abc import Iterable

from findings.spans import overlap
from findings.view import Run
from probes.measure.queues import place
from probes.measure.result import Call, Thread
from probes.words import count, ms

_MOSTLY = 0.5  # of the time
_NAMED = 2  # threads


def meanwhile(run: Run, begin: int, end: int) -> str:
    """A sentence about the threads that slept longest in one call, or that were never asleep; "" if no thread lived then."""
    if end <= begin:
        return ""
    words = []
    for thread in run.result.threads:
        if thread.start < end and thread.end > begin and not thread.kernel_worker:
            calls = [call for call in run.calls_of.get(thread.serial, []) if call.enter < end and call.exit > begin]
            words.append(_of_thread(thread, calls, begin, end))
    words = [each for each in words if each[0]]
    words.sort(key=lambda each: -each[0])
    return "; ".join(sentence for _share, sentence in words[:_NAMED])


def _of_thread(thread: Thread, calls: list[Call], begin: int, end: int) -> tuple[float, str]:
    """How much of the time the sentence explains, and the sentence."""
    slept: collections.Counter[tuple[str, int | None, str]] = collections.Counter()
    for call in calls:
        for sleep in call.sleeps:
            slept[call.name, call.fd, sleep.queue] += overlap(sleep.off, sleep.woken, begin, end)
    if slept:
        (name, fd, queue), longest = slept.most_common(1)[0]
        if longest > _MOSTLY * (end - begin):
            where = f" on descriptor {fd}" if fd is not None and fd >= 0 else ""
            return longest / (end - begin), (
                f"thread {thread.name} slept in {name}{where}, {place(queue)}, for {ms(longest)} of {ms(end - begin)}"
            )
    if thread.end < end and thread.ended:
        return 1.0, f"thread {thread.name} ended {ms(thread.end - begin)} after the trial began{_last(calls)}"
    made = sum(call.count for call in calls)
    if made > 1000 and not sum(slept.values()):
        name, number = collections.Counter(_each(calls)).most_common(1)[0]
        return 0.5, f"thread {thread.name} never slept: it made {count(made, 'call')}, {number:,} of them {name}"
    return 0, ""


def _each(calls: Iterable[Call]) -> dict[str, int]:
    names: dict[str, int] = {}
    for call in calls:
        names[call.name] = names.get(call.name, 0) + call.count
    return names


def _last(calls: list[Call]) -> str:
    """The last call that failed or never returned."""
    if not calls:
        return ""
    last = calls[-1]
    if last.errno:
        return f", after {last.name} had got {last.errno}"
    return f", in {last.name}" if last.result is None else f", after {last.name}"
