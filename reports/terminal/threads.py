"""Each thread's time from its start to its end, as shares of the states."""

from __future__ import annotations

from rich.text import Text

from probes.measure.result import Result, Thread
from probes.words import count, visible
from reports.terminal.calls import ROWS
from reports.terminal.screen import Screen, indented, note, section
from reports.terminal.states import PHASES, STATES
from reports.words import duration, share


def show(result: Result, out: Screen) -> None:
    """The threads that lived longest first."""
    section(out, "time of each thread")
    threads = sorted(result.threads, key=lambda thread: -thread.wall)
    for thread in threads[:ROWS]:
        _thread(thread, out)
    if rest := threads[ROWS:]:
        note(out, f"{count(len(rest), 'other thread')} (--json lists all)")


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
