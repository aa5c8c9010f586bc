"""Where the threads of each kind slept: call, wait queue, how long, and which task woke them by which way."""

from __future__ import annotations

from rich.text import Text

from findings.sleeps.causes import Cause
from findings.sleeps.where import Slept
from findings.threads.groups import Group
from probes.words import count, visible
from reports import wakers
from reports.terminal.screen import Screen, indented, note, pairs, section
from reports.terminal.states import STATES
from reports.words import duration
from runs.report import Report

_GROUPS, _PLACES, _CAUSES = 12, 6, 3  # that are listed
_TIME = 9  # columns


def show(report: Report, out: Screen) -> None:
    """The kinds of threads in the order of the first screen, each with its places, the longest in all first."""
    groups = [group for group in report.groups if group.slept]
    if not groups:
        return
    section(out, "sleeps of each kind of thread")
    for group in groups[:_GROUPS]:
        out.print(Text(visible(report.labels.group(group)), style="bold"))
        for slept in group.slept[:_PLACES]:
            _place(slept, group, report, out)
        if rest := group.slept[_PLACES:]:
            note(out, f"{'':{_TIME}}  {count(len(rest), 'other place')}, {duration(sum(slept.ns for slept in rest))} in total")
    if rest_of := groups[_GROUPS:]:
        note(out, f"{count(len(rest_of), 'other kind')} of threads (--json lists all)")


def _place(slept: Slept, group: Group, report: Report, out: Screen) -> None:
    where = Text(visible(slept.call), style="bold") if slept.call else Text("outside calls", style="bold")
    words = Text.assemble(where, f" on {visible(slept.queue)}: {count(slept.count, 'sleep')}")
    lasted = slept.lasted
    if lasted.p50 is not None and lasted.p99 is not None and lasted.longest is not None and slept.count > 1:
        words.append(f", p50 {duration(lasted.p50)}, p99 {duration(lasted.p99)}, longest {duration(lasted.longest)}")
    pairs(out, [(Text(duration(slept.ns), style=STATES["asleep"].style), words)], _TIME, right=True)
    causes = causes_of(slept, group, report)
    for line, number in causes[:_CAUSES]:
        out.print(indented(Text(f"{count(number, 'wake-up')} {line}", style="dim"), _TIME + 2))
    if rest := causes[_CAUSES:]:
        out.print(indented(Text(f"{count(sum(n for _, n in rest), 'wake-up')} by other causes", style="dim"), _TIME + 2))


def causes_of(slept: Slept, group: Group, report: Report) -> list[tuple[str, int]]:
    """What ended these sleeps, in words, each with its number; the most frequent first."""
    sums: dict[str, int] = {}
    for cause, number in slept.ended_by:
        line = visible(_words(cause, group, report))
        sums[line] = sums.get(line, 0) + number
    return sorted(sums.items(), key=lambda entry: -entry[1])


def _words(cause: Cause, group: Group, report: Report) -> str:
    """As in "by wrk: packet -> TCP -> socket -> thread"."""
    if not cause.chain:
        return "not recorded"
    by = wakers.task(cause, lambda serial: report.labels.waker(serial, group))
    return (f"by {by}: " if by else "by ") + " -> ".join([*cause.chain, "thread"])
