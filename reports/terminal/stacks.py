"""The kernel stack behind each kind of sleep, and behind its wake-up (--stacks)."""

from __future__ import annotations

from rich.text import Text

from probes.measure.result import Result, Sleep
from probes.words import visible
from reports.terminal.screen import Screen, indented, section

KINDS = 40


def show(result: Result, out: Screen) -> None:
    """Each pair of stacks once, the innermost function first."""
    section(out, "kernel stacks, innermost function first")
    for name, sleep in kinds(result)[:KINDS]:
        out.print(Text(f"{visible(name)} asleep on {visible(sleep.queue)}", style="bold"))
        out.print(indented(Text(" < ".join(map(visible, sleep.stack)), style="blue")))
        if sleep.waker:
            out.print(Text(f"  woken while {visible(sleep.waker.comm)} was running"))
            out.print(indented(Text(" < ".join(map(visible, sleep.waker.stack)), style="dim")))


def kinds(result: Result) -> list[tuple[str, Sleep]]:
    """A sleep of each kind with the name of its call; a kind is a call with both stacks."""
    found: dict[tuple[object, ...], tuple[str, Sleep]] = {}
    for call in result.calls:
        for sleep in call.sleeps:
            key = (call.name, sleep.stack, sleep.waker.stack if sleep.waker else None)
            found.setdefault(key, (call.name, sleep))
    return list(found.values())
