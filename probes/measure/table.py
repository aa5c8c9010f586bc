"""The phase table: one row per system call with its sums, percentiles, sleeps by wait queue, and the quality of its copy."""

from __future__ import annotations

import collections
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from probes.kernel import records, syscalls
from probes.measure.percentiles import median, percentile_of
from probes.measure.result import PHASES, Call, CallRow, Sleep, SleptOn
from probes.measure.rows import CallSum, SleepSum
from probes.measure.sums import SumReader, merged, percentiles_of, total_of
from probes.recording import Probe, Quality


def percentiles(calls: Sequence[Call], *shares: float) -> tuple[list[int], Quality]:
    """The durations (ns) that these shares of the calls stay below or at; bounded where bursts are known by buckets only."""
    if all(call.count == 1 for call in calls):
        ordered = sorted(call.total for call in calls)
        return [percentile_of(ordered, share) or 0 for share in shares], Quality.MEASURED
    weighted: list[tuple[int, int]] = []
    for call in calls:
        if call.histogram is None or call.count == 1:
            weighted.append((call.total, 1))
        else:
            weighted += [(min(_bucket_end(i), call.longest), n) for i, n in enumerate(call.histogram) if n]
    weighted.sort()
    whole, seen = sum(n for _, n in weighted), 0
    values: list[int] = []
    for duration, n in weighted:
        seen += n
        while len(values) < len(shares) and seen > shares[len(values)] * whole:
            values.append(duration)
    return values, Quality.BOUNDED


def _bucket_end(index: int) -> int:
    return records.bucket_floor(index + 1) if index + 1 < records.BURST_BUCKETS else 1 << 63


def slept_on(sleeps: Iterable[Sleep]) -> tuple[SleptOn, ...]:
    """These sleeps by wait queue, the longest first."""
    queues: dict[str, list[Sleep]] = collections.defaultdict(list)
    for sleep in sleeps:
        queues[sleep.queue].append(sleep)
    rows = []
    for queue, group in queues.items():
        chains = collections.Counter(sleep.waker.words for sleep in group if sleep.waker)
        objects = {sleep.object for sleep in group}
        several = None if None in objects else len(objects)
        walked = sum(sleep.walked for sleep in group)
        rows.append(
            SleptOn(
                queue=queue,
                count=len(group),
                ns=sum(sleep.wait for sleep in group),
                woken_by=tuple(chains.most_common()),
                queues=several,
                longest=max(sleep.wait for sleep in group),
                walked=None if walked == len(group) else walked,
            )
        )
    return tuple(sorted(rows, key=lambda row: -row.ns))


def table(calls: Sequence[Call], attached: Iterable[Probe]) -> tuple[CallRow, ...]:
    """One row per system call, the longest first."""
    probes = {probe.name: probe for probe in attached}
    by_name: dict[str, list[Call]] = collections.defaultdict(list)
    for call in calls:
        by_name[call.name].append(call)
    rows = []
    for name, group in by_name.items():
        errors: collections.Counter[str] = collections.Counter()
        for call in group:
            if call.errno:
                errors[call.errno] += call.count
        (p50, p99), quality = percentiles(group, 0.5, 0.99)
        copy_quality, copy_reason = _copy_quality(group, probes["copy"], probes.get("datagram copy"))
        rows.append(
            CallRow(
                name=name,
                count=sum(call.count for call in group),
                errors=dict(errors.most_common()),
                bytes=sum(call.bytes for call in group),
                **{phase: sum(map(operator.attrgetter(phase), group)) for phase in PHASES},
                p50=p50,
                p99=p99,
                slept_on=slept_on(sleep for call in group for sleep in call.sleeps),
                copy_quality=copy_quality,
                copy_reason=copy_reason,
                p_quality=quality,
                polled=_sum(group, "polled"),
                queued=_sum(group, "queued"),
                unqueued=_sum(group, "unqueued"),
                copy_in_max=_median(group, "copy_in_max"),
                copy_out_max=_median(group, "copy_out_max"),
            )
        )
    return tuple(sorted(rows, key=lambda row: (-row.total, row.name)))


def slept_on_by_sums(sums: Iterable[SleepSum]) -> tuple[SleptOn, ...]:
    """These sleeps by wait queue, the longest first."""
    queues: dict[str, list[SleepSum]] = collections.defaultdict(list)
    for row in sums:
        queues[row.queue].append(row)
    rows = []
    for queue, group in queues.items():
        chains: collections.Counter[str] = collections.Counter()
        for row in group:
            if row.waker:
                chains[row.waker.words] += row.count
        count, walked = sum(row.count for row in group), sum(row.walked for row in group)
        rows.append(
            SleptOn(
                queue=queue,
                count=count,
                ns=sum(row.wait for row in group),
                woken_by=tuple(chains.most_common()),
                longest=max(row.longest for row in group),
                walked=None if walked == count else walked,
            )
        )
    return tuple(sorted(rows, key=lambda row: -row.ns))


class Sums(NamedTuple):
    """The sums of a part of a run."""

    calls: Sequence[CallSum]
    sleeps: Sequence[SleepSum]


def table_of_sums(sums: SumReader | Sums, calls: Sequence[Call], attached: Iterable[Probe]) -> tuple[CallRow, ...]:
    """The same table from the sums, where `calls` are a part of the calls. The medians are those of this part."""
    probes = {probe.name: probe for probe in attached}
    known: dict[str, list[Call]] = collections.defaultdict(list)
    for call in calls:
        known[call.name].append(call)
    groups: dict[str, list[CallSum]] = collections.defaultdict(list)
    for row in sums.calls:
        groups[row.name].append(row)
    asleep: dict[str | None, list[SleepSum]] = collections.defaultdict(list)
    for sleep in sums.sleeps:
        asleep[sleep.call].append(sleep)
    rows = [_row_of_sums(group, asleep[name], known[name], probes) for name, group in groups.items()]
    return tuple(sorted(rows, key=lambda row: (-row.total, row.name)))


def _row_of_sums(
    group: Sequence[CallSum], asleep: Sequence[SleepSum], calls: Sequence[Call], probes: Mapping[str, Probe]
) -> CallRow:
    errors: collections.Counter[str] = collections.Counter()
    for row in group:
        if row.errno:
            errors[row.errno] += row.count
    longest = max(row.longest for row in group)
    p50, p99 = percentiles_of(merged(row.histogram for row in group), longest, 0.5, 0.99)
    name, copied = group[0].name, total_of(group, "copy")
    if calls:
        quality, reason = _copy_quality(calls, probes["copy"], probes.get("datagram copy"))
    else:
        quality, reason = _quality_without_calls(name, copied, total_of(group, "bytes"), probes["copy"])
    return CallRow(
        name=name,
        count=total_of(group, "count"),
        errors=dict(errors.most_common()),
        bytes=total_of(group, "bytes"),
        **{phase: total_of(group, phase) for phase in PHASES},
        p50=p50,
        p99=p99,
        slept_on=slept_on_by_sums(asleep),
        copy_quality=quality,
        copy_reason=reason,
        p_quality=Quality.BOUNDED,
        polled=_sum_if_counted(group, "polled", calls),
        queued=_sum_if_counted(group, "queued", calls),
        unqueued=_sum_if_counted(group, "unqueued", calls),
        copy_in_max=_median(calls, "copy_in_max"),
        copy_out_max=_median(calls, "copy_out_max"),
    )


def _sum_if_counted(group: Sequence[CallSum], counted: str, calls: Sequence[Call]) -> int | None:
    """A count, None if no probe makes it: the calls that were reported know that."""
    return total_of(group, counted) if calls and getattr(calls[0], counted) is not None else None


def _sum(calls: Sequence[Call], counted: str) -> int | None:
    known = [number for number in map(operator.attrgetter(counted), calls) if number is not None]
    return sum(known) if known else None


def _median(calls: Sequence[Call], timed: str) -> int | None:
    return median(ns for ns in map(operator.attrgetter(timed), calls) if ns is not None)


def _copy_quality(calls: Sequence[Call], probe: Probe, datagrams: Probe | None) -> tuple[Quality, str]:
    """A copy of 0 ns is a measured figure only if the call moves no data, or if a probe watched every copy of the call."""
    name = calls[0].name
    seen = {bool(datagrams and call.linear) for call in calls if call.copied}
    if seen:
        unseen = sum(1 for call in calls if call.bytes and not call.copied)
        if unseen:
            return Quality.UNAVAILABLE, f"the copy of {unseen} of these calls is not measured; there it is counted as kernel"
        used = {datagrams.quality if datagrams and linear else probe.quality for linear in seen}
        if datagrams and Quality.UNAVAILABLE in used:
            return Quality.UNAVAILABLE, datagrams.reason
        bounded = Quality.BOUNDED in used or any(call.late for call in calls)
        return (Quality.BOUNDED if bounded else Quality.MEASURED), ""
    return _quality_without_calls(name, 0, sum(call.bytes for call in calls), probe)


def _quality_without_calls(name: str, copied: int, moved: int, probe: Probe) -> tuple[Quality, str]:
    """The same where no call is known to have copied: `copied` in ns, `moved` in bytes."""
    if probe.attached is None:
        return Quality.UNAVAILABLE, probe.reason
    if copied:
        return probe.quality, ""
    if name in syscalls.COPIES_NOTHING or (name in syscalls.MOVES_BYTES and not moved):
        return Quality.MEASURED, ""
    if name in syscalls.WRITES:
        return Quality.UNAVAILABLE, "no probe measures the copy into the kernel; it is counted as kernel"
    if name in syscalls.READS:
        return Quality.UNAVAILABLE, "no probe measures the copy of this kind of file; it is counted as kernel"
    return Quality.UNAVAILABLE, "no probe measures what this call copies (arguments and results); it is counted as kernel"
