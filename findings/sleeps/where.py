"""Where each thread waits: its sleeps by call and wait queue, how long they lasted, and what ended them."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from findings.sleeps.causes import Cause, Causes
from findings.sleeps.idle import Idleness
from findings.summary import Times, times
from findings.threads.startup import StartUp
from probes.kernel.records import bucket_floor
from probes.measure.result import Call, Result, Sleep, Thread
from probes.measure.rows import SleepSum
from probes.measure.sums import merged, percentiles_of

OUTSIDE = ""  # the name of the call for sleeps outside calls: page faults, stops


@dataclass(frozen=True)
class Slept:
    """All sleeps of some threads in calls of one name on one wait queue.

    `lasted.longest` is None where only the sum of the sleeps is recorded. `histogram[n]` counts the sleeps of 2**n ns or more,
    and less than 2**(n + 1) ns.
    """

    call: str
    queue: str
    count: int
    ns: int
    lasted: Times
    longest_began: int | None
    histogram: dict[int, int]
    ended_by: tuple[tuple[Cause, int], ...]  # the most frequent cause first
    idle: int | None  # ns of the sleeps in which no work waited (findings/sleeps/idle.py); None: that was not asked for
    held_up: int | None
    held_up_estimate: int | None = None  # ns, from the recorded sleeps, where details are a part


class Waits(NamedTuple):
    """One thread with its sleeps, the longest in all first."""

    thread: Thread
    slept: tuple[Slept, ...]


@dataclass(frozen=True)
class Where:
    """Where the threads of one run wait; with a start-up, where they wait in their service.

    `wakers`: all threads of the run, where the result is a part of it. `idleness`: of the whole run.
    """

    result: Result
    start: StartUp | None = None
    wakers: tuple[Thread, ...] = ()
    idleness: Idleness | None = None

    @cached_property
    def _sleeps(self) -> dict[int, list[tuple[Call, Sleep]]]:
        """The sleeps of each thread in calls."""
        found: dict[int, list[tuple[Call, Sleep]]] = collections.defaultdict(list)
        for call in self.result.calls:
            if call.sleeps and not (self.start and self.start.has(call)):
                found[call.thread] += [(call, sleep) for sleep in call.sleeps]
        return found

    @cached_property
    def causes(self) -> Causes:
        """Finds what ended a sleep of the run."""
        return Causes(self.wakers or self.result.threads)

    @cached_property
    def threads(self) -> tuple[Waits, ...]:
        """Each thread with its sleeps, in the order of the result."""
        return tuple(Waits(thread, self.of(thread)) for thread in self.result.threads)

    def of(self, *threads: Thread) -> tuple[Slept, ...]:
        """The sleeps of these threads together, by call and queue; the longest in all first.

        Where details are a part, the sums of all sleeps count, those of the start-up too.
        """
        if not self.result.details.complete and self.result.sleep_sums:
            return self._of_sums({thread.serial for thread in threads})
        groups: dict[tuple[str, str], list[tuple[Call, Sleep]]] = collections.defaultdict(list)
        for thread in threads:
            for call, sleep in self._sleeps.get(thread.serial, ()):
                groups[call.name, sleep.queue].append((call, sleep))
        slept = [self._slept(name, queue, sleeps) for (name, queue), sleeps in groups.items()]
        outside = self._outside_calls({thread.serial for thread in threads}) or _outside(threads)
        return tuple(sorted([*slept, *outside], key=lambda group: -group.ns))

    def _outside_calls(self, serials: set[int]) -> list[Slept]:
        """The sleeps outside calls by the sums, which have what ended each; nothing where the recording has no sums."""
        groups: dict[str, list[SleepSum]] = collections.defaultdict(list)
        for row in self.result.sleep_sums:
            if row.call is None and row.thread in serials:
                groups[row.queue].append(row)
        return [self._summed(OUTSIDE, queue, rows, ()) for queue, rows in groups.items()]

    def _of_sums(self, serials: set[int]) -> tuple[Slept, ...]:
        groups: dict[tuple[str, str], list[SleepSum]] = collections.defaultdict(list)
        for row in self.result.sleep_sums:
            if row.thread in serials:
                groups[row.call or OUTSIDE, row.queue].append(row)
        recorded: dict[tuple[str, str], list[tuple[Call, Sleep]]] = collections.defaultdict(list)
        for serial in serials:
            for call, sleep in self._sleeps.get(serial, ()):
                recorded[call.name, sleep.queue].append((call, sleep))
        slept = [self._summed(name, queue, rows, recorded[name, queue]) for (name, queue), rows in groups.items()]
        return tuple(sorted(slept, key=lambda group: -group.ns))

    def _estimate(self, ns: int, recorded: Sequence[tuple[Call, Sleep]]) -> int | None:
        """How long the threads were held up in sleeps of `ns` in all, by the share in the recorded ones."""
        asleep = sum(sleep.wait for _, sleep in recorded)
        if not self.idleness or not asleep:
            return None
        return ns * sum(self.idleness.of_sleep(*pair).held_up for pair in recorded) // asleep

    def _summed(self, name: str, queue: str, rows: Sequence[SleepSum], recorded: Sequence[tuple[Call, Sleep]]) -> Slept:
        buckets, longest = merged(row.histogram for row in rows), max(row.longest for row in rows)
        p50, p99 = percentiles_of(buckets, longest, 0.5, 0.99)
        histogram: collections.Counter[int] = collections.Counter()
        causes: collections.Counter[Cause] = collections.Counter()
        for index, number in enumerate(buckets):
            if number:
                histogram[max(bucket_floor(index), 1).bit_length() - 1] += number
        for row in rows:
            causes[self.causes.of_sum(row)] += row.count
        ns = sum(row.wait for row in rows)
        return Slept(
            call=name,
            queue=queue,
            count=sum(row.count for row in rows),
            ns=ns,
            lasted=Times(p50, p99, longest),
            longest_began=None,
            histogram=dict(sorted(histogram.items())),
            ended_by=tuple(causes.most_common()),
            idle=None,
            held_up=None,
            held_up_estimate=self._estimate(ns, recorded),
        )

    def _slept(self, name: str, queue: str, pairs: Sequence[tuple[Call, Sleep]]) -> Slept:
        sleeps = [sleep for _, sleep in pairs]
        parts = [self.idleness.of_sleep(*pair) for pair in pairs] if self.idleness else None
        longest = max(sleeps, key=lambda sleep: sleep.wait)
        causes = collections.Counter(self.causes.of(sleep) for sleep in sleeps)
        return Slept(
            call=name,
            queue=queue,
            count=len(sleeps),
            ns=sum(sleep.wait for sleep in sleeps),
            lasted=times(sleep.wait for sleep in sleeps),
            longest_began=longest.off,
            histogram=dict(sorted(collections.Counter(max(sleep.wait, 1).bit_length() - 1 for sleep in sleeps).items())),
            ended_by=tuple(causes.most_common()),
            idle=sum(part.idle for part in parts) if parts is not None else None,
            held_up=sum(part.held_up for part in parts) if parts is not None else None,
        )


def _outside(threads: Iterable[Thread]) -> list[Slept]:
    """The sleeps outside calls, in a recording without sums: what ended them has no task."""
    sums: dict[str, list[int]] = {}
    chains: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for thread in threads:
        for slept in thread.slept_on:
            total = sums.setdefault(slept.queue, [0, 0])
            total[0] += slept.count
            total[1] += slept.ns
            chains[slept.queue].update(dict(slept.woken_by))
    return [
        Slept(
            call=OUTSIDE,
            queue=queue,
            count=number,
            ns=ns,
            lasted=Times(None, None, None),
            longest_began=None,
            histogram={},
            ended_by=tuple((Cause(tuple(chain.split(" -> "))), n) for chain, n in chains[queue].most_common()),
            idle=None,
            held_up=None,
        )
        for queue, (number, ns) in sums.items()
    ]
