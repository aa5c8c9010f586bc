"""The sleeps of each call, and the sleeps outside calls: on which wait queue, and what woke the thread."""

from __future__ import annotations

from rich.text import Text

from findings.sleeps.outside_calls import outside_calls
from probes.measure.result import Result, SleptOn
from probes.words import count, visible
from reports.terminal.calls import ROWS
from reports.terminal.screen import Screen, indented, note, pairs, section
from reports.terminal.states import STATES
from reports.words import duration

_CHAINS = 3  # ways of a wake-up that are shown for each kind of sleep
_TIME = 9  # columns


def show(result: Result, out: Screen, most: int = ROWS, title: bool = True) -> None:
    """The `most` kinds of sleep with the longest total time."""
    rows = [(row.name, slept) for row in result.rows for slept in row.slept_on]
    rows += [(row.thread + ("" if row.worker else ", outside calls,"), row.slept) for row in outside_calls(result)]
    if not rows:
        return
    if title:
        section(out, "sleeps, by wait queue and waker")
    else:
        out.print()
    rows.sort(key=lambda row: -row[1].ns)
    for name, slept in rows[:most]:
        _sleep(name, slept, out)
    if rest := rows[most:]:
        note(
            out,
            f"{count(len(rest), 'other row')} of sleeps, {duration(sum(row.ns for _, row in rest))} in total (all in --json)",
        )


def _sleep(name: str, slept: SleptOn, out: Screen) -> None:
    words = Text.assemble(f"{visible(name)} on ", (visible(slept.queue), "bold"), f", {count(slept.count, 'sleep')}")
    if slept.queues and slept.count > 1:
        words.append(" on one wait queue" if slept.queues == 1 else f" on {count(slept.queues, 'wait queue')}")
    pairs(out, [(Text(duration(slept.ns), style=STATES["asleep"].style), words)], _TIME, right=True)
    for chain, number in slept.woken_by[:_CHAINS]:
        out.print(indented(Text(f"{count(number, 'wake-up')}: {visible(chain)} -> thread", style="dim"), _TIME + 2))
