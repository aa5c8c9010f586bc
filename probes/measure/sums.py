"""The sums of a recording: every call and every sleep, added up by the kernel side, exact however few details it reported.

A row of calls is for one thread, one call, one kind of descriptor and one outcome. A row of sleeps is for one thread, one call,
one wait queue and one waker. The laws, held against every recording:
  threads  the rows of a thread add up to the totals of its end
  tiers    where every call was reported one by one, the rows add up to these calls, to the nanosecond
"""

from __future__ import annotations

import collections
import functools
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from probes.kernel import records, syscalls
from probes.kernel.records import SleepFlag
from probes.measure.frames import of_waker, own
from probes.measure.queues import queue_name
from probes.measure.result import Call, Thread
from probes.measure.rows import CallSum, Descriptor, Others, SleepSum
from probes.measure.wakers import Waker, wake_chain


def descriptor_of(release: tuple[str, ...], kind: int) -> Descriptor | None:
    """A descriptor's kind from the fields of a record: the stack of its release function, and the kind of socket."""
    return Descriptor(release[0], kind & 255, kind >> 8 & 255, kind >> 16) if release else None


_SAME = (
    "thread", "outcome", "count", "bytes", "total", "wait", "preempted", "copy", "sleeps", "preemptions", "longest", "polled",
    "queued", "unqueued",
)  # fmt: skip


_NO_WAKER, _OPEN = int(SleepFlag.OPEN | SleepFlag.UNSEEN), int(SleepFlag.OPEN)


def _added(row: SleepSum, more: SleepSum) -> SleepSum:
    """Two rows of the kernel side as one: their stacks differ in frames that say nothing of the sleeps."""
    return replace(
        row,
        count=row.count + more.count,
        wait=row.wait + more.wait,
        sched_delay=row.sched_delay + more.sched_delay,
        longest=max(row.longest, more.longest),
        walked=row.walked + more.walked,
        waker_walked=row.waker_walked + more.waker_walked,
        histogram=merged((row.histogram, more.histogram)),
    )


class SumReader:
    """Makes the sums from their records. `stack` gives the kernel functions behind a number."""

    def __init__(self, arch: str, stack: Callable[[int], tuple[str, ...]]) -> None:
        self._arch, self._stack = arch, stack
        self.calls: list[CallSum] = []
        self.others: Others | None = None
        self._sleeps: dict[tuple[object, ...], SleepSum] = {}
        self._stacks: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._wakers: dict[Waker, Waker] = {}
        self._queue = functools.cache(self._queue_of)
        self._waker = functools.cache(self._waker_of)

    @property
    def sleeps(self) -> Sequence[SleepSum]:
        """The rows of sleeps."""
        return tuple(self._sleeps.values())

    @functools.cached_property
    def _of_threads(self) -> Mapping[int, Sequence[CallSum]]:
        return by_thread(self.calls)

    def of_thread(self, thread: int) -> Sequence[CallSum]:
        """The rows of a thread's calls, when all records were read."""
        return self._of_threads.get(thread, ())

    @functools.cached_property
    def _outside(self) -> Mapping[int, Sequence[SleepSum]]:
        rows: dict[int, list[SleepSum]] = collections.defaultdict(list)
        for row in self.sleeps:
            if row.call is None:
                rows[row.thread].append(row)
        return rows

    def outside(self, thread: int) -> Sequence[SleepSum]:
        """The rows of a thread's sleeps outside calls, when all records were read."""
        return self._outside.get(thread, ())

    def _queue_of(self, number: int) -> tuple[str, tuple[str, ...]]:
        found = own(self._stack(number))
        stack = self._stacks.setdefault(found, found)
        return queue_name(stack), stack

    def _waker_of(self, number: int, comm: str) -> Waker:
        stack = of_waker(self._stack(number))
        waker = Waker(comm, 0, wake_chain(stack), stack)
        return self._wakers.setdefault(waker, waker)

    def on_sum(self, record: Any) -> None:
        """A row of calls."""
        self.calls.append(self.call_sum(record))

    def call_sum(self, record: Any) -> CallSum:
        """The row of calls of a record, which may lack its histogram."""
        descriptor = descriptor_of(self._stack(record.release), record.socket)
        same = {name: getattr(record, name) for name in _SAME}
        return CallSum(
            name=syscalls.name_of(record.nr, self._arch),
            descriptor=descriptor,
            sched_delay=record.delay,
            histogram=getattr(record, "buckets", ()),
            **same,
        )

    def on_sleep_sum(self, record: Any) -> None:
        """A row of sleeps."""
        row = self.sleep_sum(record)
        # Equal stacks and equal wakers are the same objects (_queue_of, _waker_of): so no hash covers all their frames.
        alike = (row.thread, row.call, row.queue, id(row.stack), id(row.waker), row.waker_thread, row.open)
        before = self._sleeps.get(alike)
        self._sleeps[alike] = _added(before, row) if before else row

    def sleep_sum(self, record: Any) -> SleepSum:
        """The row of sleeps of a record, which may lack its histogram."""
        queue, stack = self._queue(record.stack)
        known = not record.flags & _NO_WAKER
        return SleepSum(
            thread=record.thread,
            call=None if record.nr == -1 else syscalls.name_of(record.nr, self._arch),
            queue=queue,
            stack=stack,
            waker=self._waker(record.waker_stack, record.waker_comm) if known else None,
            waker_thread=record.waker if known else 0,
            open=bool(record.flags & _OPEN),
            count=record.count,
            wait=record.wait,
            sched_delay=record.delay,
            longest=record.longest,
            walked=record.walked,
            waker_walked=record.waker_walked,
            histogram=getattr(record, "buckets", ()),
        )

    def on_others(self, record: Any) -> None:
        """The threads without an account."""
        self.others = Others(
            threads=record.threads, wall=record.wall, calls=record.made, wait=record.wait, sched_delay=record.delay,
            preempted=record.preempted, copy=record.copy, kernel=record.kernel, voluntary_switches=record.sleeps,
            involuntary_switches=record.preemptions,
        )  # fmt: skip


def check_laws(
    sums: SumReader, threads: Iterable[Thread], calls: Iterable[Call] | None, unmatched: collections.Counter[str]
) -> None:
    """Counts in `unmatched` what breaks a law. `calls` are all calls, None if some were not reported one by one."""
    if not sums.calls and not sums.others:
        return
    rows, shared = by_thread(sums.calls), any(row.thread == records.OTHERS for row in sums.calls)
    if any(row.kernel < 0 or sum(row.histogram) != row.count for row in sums.calls):
        unmatched["a row of sums doesn't add up"] += 1
    for thread in threads:
        count = total_of(rows.get(thread.serial, ()), "count")
        if count > thread.calls or (count < thread.calls and not shared):
            unmatched["rows of a thread don't add up to its calls"] += 1
    if calls is not None and _by_name(sums.calls) != _by_name(calls):
        unmatched["the sums are not those of the calls"] += 1


_SUMMED = tuple(
    map(operator.attrgetter, ("count", "bytes", "total", "wait", "sched_delay", "preempted", "copy", "preemptions"))
)


def _by_name(rows: Iterable[CallSum | Call]) -> dict[tuple[int, str], list[int]]:
    """The sums by thread and name."""
    groups: dict[tuple[int, str], list[CallSum | Call]] = collections.defaultdict(list)
    for row in rows:
        groups[row.thread, row.name].append(row)
    return {key: [sum(map(figure, group)) for figure in _SUMMED] for key, group in groups.items()}


def by_thread(sums: Iterable[CallSum]) -> Mapping[int, Sequence[CallSum]]:
    """The rows of calls by thread."""
    rows: dict[int, list[CallSum]] = collections.defaultdict(list)
    for row in sums:
        rows[row.thread].append(row)
    return rows


def total_of(sums: Iterable[CallSum], figure: str) -> int:
    """One figure over several rows."""
    return sum(getattr(row, figure) for row in sums)


def percentiles_of(histogram: Sequence[int], longest: int, *shares: float) -> list[int]:
    """Upper bounds (ns) of the durations that these shares of a histogram stay below or at."""
    whole, seen = sum(histogram), 0
    values: list[int] = []
    for index, number in enumerate(histogram):
        seen += number
        while len(values) < len(shares) and number and seen > shares[len(values)] * whole:
            values.append(min(records.bucket_floor(index + 1) if index + 1 < len(histogram) else longest, longest))
    return values + [longest] * (len(shares) - len(values))


def merged(histograms: Iterable[Sequence[int]]) -> tuple[int, ...]:
    """Histograms of the same buckets, added up."""
    return tuple(map(sum, zip(*histograms, strict=True)))
