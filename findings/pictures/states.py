"""What a thread did at each moment: user code, kernel, asleep, waiting for a CPU; from its recorded calls."""

from __future__ import annotations

import enum
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from probes.measure.result import Call, Thread


class State(enum.StrEnum):
    """What a thread did."""

    USER = "user code"  # outside of calls; page faults and preemption there are not told apart
    KERNEL = "kernel"  # in a call and not asleep: on a CPU, copying, or preempted
    ASLEEP = "asleep"
    RUN_QUEUE = "run queue"  # woken, without a CPU
    BURST = "calls without result"  # a burst of identical calls, with the user code between them
    NOT_KNOWN = "not known"  # between two recorded calls of a run of which not all calls were recorded


@dataclass(frozen=True, slots=True)
class Since:
    """The thread's state from `at` (ns) on; `queue` of a sleep."""

    at: int
    state: State
    queue: str = ""


def in_order(calls: Iterable[Call]) -> list[tuple[Call, int]]:
    """The calls of one thread by their start, each with its end: not after the start of the next call."""
    ordered = sorted(calls, key=lambda call: call.enter)
    ends = [min(call.exit, after.enter) for call, after in itertools.pairwise(ordered)]
    return list(zip(ordered, [*ends, *(call.exit for call in ordered[-1:])], strict=True))


def states(thread: Thread, calls: Sequence[tuple[Call, int]], complete: bool) -> Iterator[Since]:
    """The states of a thread from its start to its end, from its calls in order. `complete`: was each call recorded?"""
    outside = State.USER if complete else State.NOT_KNOWN
    yield Since(thread.start, outside)
    for call, end in calls:
        yield Since(call.enter, State.KERNEL if call.count == 1 else State.BURST)
        for sleep in call.sleeps:
            if sleep.on > end:
                break
            yield Since(sleep.off, State.ASLEEP, sleep.queue)
            yield Since(sleep.woken, State.RUN_QUEUE)
            yield Since(sleep.on, State.KERNEL)
        yield Since(end, outside)
