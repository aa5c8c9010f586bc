"""Off-CPU time: all sleeps of a run by the role of the thread, the call, the wait queue, and what ended the sleep.

The rows come from the sums of the kernel side, which are exact however long the run was. A recording of an old iolab, and a
part of some descriptors, has no sums: then they come from the sleeps that were recorded one by one.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from findings.sleeps.causes import Cause, Causes
from findings.threads.groups import Group
from probes.measure.result import Result, Thread


@dataclass(frozen=True, slots=True)
class OffCpu:
    """All sleeps of one group of threads in one call on one wait queue with one cause.

    `group` is None for threads without an account of their own, `call` is None outside of system calls. `delay`: from the
    wake-ups until the threads had a CPU, ns; None: not known.
    """

    group: Group | None
    call: str | None
    queue: str
    cause: Cause
    count: int
    ns: int
    delay: int | None


_Key = tuple[int | None, str | None, str, Cause]
_Row = tuple[_Key, int, int, int | None]  # with the number of sleeps, ns asleep, ns of delay


def off_cpu(result: Result, groups: Iterable[Group], wakers: Iterable[Thread]) -> tuple[OffCpu, ...]:
    """The rows, the longest first. `wakers`: all threads of the run, where the result is a part of it."""
    listed, causes = tuple(groups), Causes(wakers)
    place = {thread.serial: index for index, group in enumerate(listed) for thread in group.threads}
    rows = _of_sums(result, causes, place) if result.sleep_sums else _of_sleeps(result, causes, place)
    sums: dict[_Key, list[int | None]] = collections.defaultdict(lambda: [0, 0, 0])
    for key, count, ns, delay in rows:
        have = sums[key]
        sums[key] = [(have[0] or 0) + count, (have[1] or 0) + ns, None if delay is None else (have[2] or 0) + delay]
    found = [
        OffCpu(
            group=None if index is None else listed[index],
            call=call,
            queue=queue,
            cause=cause,
            count=count or 0,
            ns=ns or 0,
            delay=delay,
        )
        for (index, call, queue, cause), (count, ns, delay) in sums.items()
    ]
    return tuple(sorted(found, key=lambda row: -row.ns))


def _of_sums(result: Result, causes: Causes, place: dict[int, int]) -> Iterator[_Row]:
    for row in result.sleep_sums:
        key = place.get(row.thread), row.call, row.queue, causes.of_sum(row)
        yield key, row.count, row.wait, row.sched_delay


def _of_sleeps(result: Result, causes: Causes, place: dict[int, int]) -> Iterator[_Row]:
    for call in result.calls:
        for sleep in call.sleeps:
            yield (place.get(call.thread), call.name, sleep.queue, causes.of(sleep)), 1, sleep.wait, sleep.delay
    for thread in result.threads:
        for slept in thread.slept_on:  # the chains of these sleeps are counted, not timed: a single chain is the cause of all
            chains = [chain for chain, _ in slept.woken_by]
            cause = Cause(tuple(chains[0].split(" -> ")) if len(chains) == 1 else ())
            yield (place.get(thread.serial), None, slept.queue, cause), slept.count, slept.ns, None
