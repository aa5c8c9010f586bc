"""The phase table: one row per system call with its sums, percentiles, sleeps by wait queue, and the quality of its copy."""

from __future__ import annotations

import collections
import operator
from collections.abc import Iterable, Sequence

from probes.kernel import records, syscalls
from probes.measure.percentiles import median, percentile_of
from probes.measure.result import PHASES, Call, CallRow, Sleep, SleptOn
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
        rows.append(SleptOn(queue, len(group), sum(sleep.wait for sleep in group), tuple(chains.most_common()), several))
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
    if probe.attached is None:
        return Quality.UNAVAILABLE, probe.reason
    if name in syscalls.COPIES_NOTHING or (name in syscalls.MOVES_BYTES and not any(call.bytes for call in calls)):
        return Quality.MEASURED, ""
    if name in syscalls.WRITES:
        return Quality.UNAVAILABLE, "no probe measures the copy into the kernel; it is counted as kernel"
    if name in syscalls.READS:
        return Quality.UNAVAILABLE, "no probe measures the copy of this kind of file; it is counted as kernel"
    return Quality.UNAVAILABLE, "no probe measures what this call copies (arguments and results); it is counted as kernel"
