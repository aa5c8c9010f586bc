"""Each thread's time from its start to its end, as shares of the states."""

from __future__ import annotations

from rich.text import Text

from findings.threads.work import on_cpu
from probes.measure.result import Result, Thread
from probes.words import count, visible
from reports.terminal.calls import ROWS
from reports.terminal.screen import Screen, indented, note, section
from reports.terminal.states import PHASES, STATES
from reports.words import duration, share
from runs.report import Report

_OF_A_KIND = 3  # threads that are listed of each kind


def show(result: Result, out: Screen) -> None:
    """The threads that lived longest first."""
    section(out, "time of each thread")
    threads = sorted(result.threads, key=lambda thread: -thread.wall)
    for thread in threads[:ROWS]:
        _thread(thread, out)
    if rest := threads[ROWS:]:
        note(out, f"{count(len(rest), 'other thread')} (--json lists all)")


def show_kinds(report: Report, out: Screen) -> None:
    """The threads of each kind, in the order of the first screen: of many threads of a kind, those that worked most."""
    section(out, "time of each thread")
    left = 2 * ROWS
    for group in report.groups:
        threads = sorted(group.threads, key=lambda thread: -on_cpu(thread))
        most = 1 if group.short_lived else min(_OF_A_KIND, left)
        shown, rest = threads[:most], threads[most:]
        left -= len(shown)
        for thread in shown:
            _thread(thread, out)
        if rest:
            asleep = sorted((thread.wait, thread.wall) for thread in rest if thread.wall)
            ends = sorted(asleep, key=lambda life: life[0] / life[1])[:: max(len(asleep) - 1, 1)]
            spread = f", asleep {' to '.join(share(*life) for life in ends)}" if ends else ""
            note(out, f"{count(len(rest), 'more thread')} of this kind{spread} (--json lists all)")


def account(thread: Thread) -> list[tuple[str, int]]:
    """Where a thread's time went, as the states of the picture, largest first; adds up to its wall time."""
    parts = [(label, int(getattr(thread, phase))) for label, phase in PHASES] + [("user code", thread.user)]
    return sorted(parts, key=lambda part: -part[1])


def _thread(thread: Thread, out: Screen) -> None:
    line = Text.assemble((f"{visible(thread.name)} {thread.tid}", "bold"), f"  {duration(thread.wall)} =")
    for index, (label, ns) in enumerate(part for part in account(thread) if part[1]):
        line.append(" + " if index else " ")
        line.append(f"{label} {share(ns, thread.wall)}", style=STATES[label].style)
    out.print(line)
    switches = f"{thread.voluntary_switches:,} voluntary and {thread.involuntary_switches:,} involuntary context switches"
    alive = "" if thread.ended else "; it was alive when the recording ended"
    out.print(indented(Text(f"{count(thread.calls, 'system call')}, {switches}{alive}", style="dim")))
