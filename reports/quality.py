"""How far a measurement can be trusted, in sentences: lost events, independent witnesses, the cost of tracing, probes."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import NamedTuple

from findings.never_began import never_began
from probes.context import Overhead, ServerRun, Witness
from probes.measure.result import Events, Result
from probes.recording import Missing, Quality
from probes.words import count, visible
from reports import losses
from reports.words import duration, with_command_name


class Tone(enum.Enum):
    """How much a sentence matters."""

    NOTE = "note"
    PLAIN = "plain"
    WARNING = "warning"
    ALARM = "alarm"


class Sentence(NamedTuple):
    """One sentence with its tone."""

    words: str
    tone: Tone


def sentences(result: Result) -> Iterator[Sentence]:
    """All sentences, worst news first."""
    yield from _events(result.events)
    yield from _details(result)
    for words in losses.notes(result.events, never_began(result)):
        yield Sentence(words, Tone.NOTE)
    several = len({thread.pid for thread in result.threads}) > 1  # the witnesses know only the process that was started
    if isinstance(result.context, ServerRun):
        yield Sentence(_witness(result.context.witness, several), Tone.PLAIN)
        if result.context.overhead:
            yield Sentence(_cost(result.context.overhead, several), Tone.PLAIN)
    yield from _probes(result)


def _events(events: Events) -> Iterator[Sentence]:
    words = f"{events.seen:,} events, {events.lost:,} lost{losses.in_per_cent(events)}, {events.unmatched} unmatched"
    if events.sound:
        yield Sentence(words, Tone.NOTE)
    else:
        counted = {name: number for name, number in events.reasons.items() if name != Missing.SUMMED_MS.lower()}
        yield Sentence(f"{words}: " + ", ".join(f"{name} {number}" for name, number in counted.items()), Tone.ALARM)
        remedy = losses.remedy(events)
        yield Sentence(f"Every verdict is inconclusive, because events are missing. {remedy}", Tone.PLAIN)
        yield Sentence("docs/troubleshooting.md explains each kind of loss.", Tone.PLAIN)
    if events.full:
        words = "The recording was full before the end: later calls are in the sums only, and no check can judge them."
        yield Sentence(words, Tone.ALARM)


def _details(result: Result) -> Iterator[Sentence]:
    """Which part of the calls was reported one by one, where it is not all of them."""
    details = result.details
    if details.complete or not result.sums:
        return
    words = f"details: {details.recorded:,} of {details.of:,} calls were recorded one by one"
    if details.left_out:
        words = f"details: {details.recorded:,} of {details.of:,} calls are in this report one by one"
    if details.windows and result.threads:
        start = min(thread.start for thread in result.threads)
        first, *samples = details.windows
        words += f", all of them until {duration(max(first[1] - start, 0))}"
        words += f", then in {count(len(samples), 'sample')}" if samples else ""
    if details.left_out:
        words += f". The recording has {details.left_out:,} more: show --details all reads them"
    yield Sentence(f"{words}. The counts, the sums and the sleeps in the tables are those of all calls.", Tone.NOTE)
    if result.others:
        words = f"{count(result.others.threads, 'thread')} share one account, since {len(result.threads):,} others came first."
        yield Sentence(words, Tone.NOTE)


def _witness(witness: Witness, several: bool) -> str:
    return (
        f"psutil: {witness.voluntary_switches:,.0f} voluntary and {witness.involuntary_switches:,.0f} involuntary"
        f" context switches of the main thread; {witness.cpu_ns / 1e6:.1f} ms of CPU time and"
        f" {witness.rss_bytes / 1e6:.1f} MB of memory of the {'first process' if several else 'process'}, during the"
        " traffic"
    )


def _cost(cost: Overhead, several: bool) -> str:
    trip = _ratio(cost.traced_round_trip_ns, cost.untraced_round_trip_ns)
    cpu = _ratio(cost.traced_cpu_s, cost.untraced_cpu_s)
    return (
        f"cost of tracing: the same traffic took {duration(round(cost.untraced_s * 1e9))} untraced and"
        f" {duration(round(cost.traced_s * 1e9))} traced; {'' if several else f'CPU time of the server {cpu}, '}median"
        f" round trip {trip}"
    )


def _ratio(traced: float, untraced: float) -> str:
    """Traced, relative to untraced. A ratio below 1 is no gain: the probes make nothing faster.

    >>> _ratio(107, 100), _ratio(65, 100), _ratio(65, 0)
    ('x1.07', 'x0.65 (two runs differ by more than tracing costs)', 'not known (untraced 0)')
    """
    if not untraced:
        return "not known (untraced 0)"
    ratio = round(traced / untraced, 2)
    return f"x{ratio:.2f}" + (" (two runs differ by more than tracing costs)" if ratio < 1 else "")


def _probes(result: Result) -> Iterator[Sentence]:
    missing = [probe for probe in result.probes if probe.quality is Quality.UNAVAILABLE]
    for probe in missing:
        if not probe.optional:
            yield Sentence(f"not measured here: {visible(probe.name)} ({visible(probe.reason)})", Tone.WARNING)
    if optional := [visible(probe.name) for probe in missing if probe.optional]:
        words = f"not measured, because this kernel refuses probes in its functions: {', '.join(optional)}"
        yield Sentence(f"{words} ({with_command_name('invoke doctor')} names the cause)", Tone.NOTE)
    kinds = sorted({probe.attached.split(":")[0] for probe in result.probes if probe.attached})
    accepted = f"{len(result.probes) - len(missing)} of {count(len(result.probes), 'probe')}"
    machine = f"kernel {visible(result.machine.kernel)}, {count(result.machine.cpus, 'CPU')}"
    yield Sentence(f"this kernel accepted {accepted} (attached by {', '.join(kinds)}); {machine}", Tone.NOTE)
