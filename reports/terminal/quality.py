"""How far the measurement can be trusted: events lost, independent witnesses, the cost of tracing, probes that are missing."""

from __future__ import annotations

from probes.context import Overhead, ServerRun, Witness
from probes.measure.result import Events, Result
from probes.recording import Quality
from probes.words import count, visible
from reports import losses
from reports.terminal.screen import Screen, note, section
from reports.words import duration, with_command_name


def show(result: Result, out: Screen) -> None:
    """The section, worst news first."""
    section(out, "quality of this measurement")
    _events(result.events, out)
    for sentence in losses.notes(result.events):
        note(out, sentence)
    several = len({thread.pid for thread in result.threads}) > 1  # the witnesses know only the process that was started
    if isinstance(result.context, ServerRun):
        _witness(result.context.witness, several, out)
        _cost(result.context.overhead, several, out)
    _probes(result, out)


def _events(events: Events, out: Screen) -> None:
    line = f"{events.seen:,} events, {events.lost} lost, {events.unmatched} unmatched"
    if not events.sound:
        line += ": " + ", ".join(f"{name} {number}" for name, number in events.reasons.items())
    note(out, line, "" if events.sound else "bold yellow")
    if not events.sound:
        note(out, f"Every verdict is inconclusive, because events are missing. {losses.remedy(events)}", "")
        note(out, "docs/troubleshooting.md explains each kind of loss.", "")
    if events.full:
        words = "The recording was full before the end: later events are not in it. Threads that lived then are shown as alive."
        note(out, words, "bold yellow")


def _witness(witness: Witness, several: bool, out: Screen) -> None:
    out.print(
        f"psutil: {witness.voluntary_switches:,.0f} voluntary and {witness.involuntary_switches:,.0f} involuntary"
        f" context switches of the main thread; {witness.cpu_ns / 1e6:.1f} ms of CPU time and"
        f" {witness.rss_bytes / 1e6:.1f} MB of memory of the {'first process' if several else 'process'}, during the"
        " traffic"
    )


def _cost(cost: Overhead | None, several: bool, out: Screen) -> None:
    if cost is None:
        return
    trip = _ratio(cost.traced_round_trip_ns, cost.untraced_round_trip_ns)
    cpu = _ratio(cost.traced_cpu_s, cost.untraced_cpu_s)
    out.print(
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


def _probes(result: Result, out: Screen) -> None:
    missing = [probe for probe in result.probes if probe.quality is Quality.UNAVAILABLE]
    for probe in missing:
        if not probe.optional:
            note(out, f"not measured here: {visible(probe.name)} ({visible(probe.reason)})", "yellow")
    if optional := [visible(probe.name) for probe in missing if probe.optional]:
        words = f"not measured, because this kernel refuses probes in its functions: {', '.join(optional)}"
        note(out, f"{words} ({with_command_name('invoke doctor')} names the cause)")
    kinds = sorted({probe.attached.split(":")[0] for probe in result.probes if probe.attached})
    note(
        out,
        f"this kernel accepted {len(result.probes) - len(missing)} of {count(len(result.probes), 'probe')}"
        f" (attached by {', '.join(kinds)}); kernel {visible(result.machine.kernel)}, {count(result.machine.cpus, 'CPU')}",
    )
