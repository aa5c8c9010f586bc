"""What a thread can be doing: the names, glyphs and styles that the picture and the tables share."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class State:
    """One state; `ascii` is its glyph where only ASCII can be shown."""

    glyph: str
    ascii: str
    style: str


STATES = {
    "asleep": State("·", ".", "blue"),
    "run queue": State("▒", ":", "yellow"),
    "preempted": State("x", "x", "magenta"),
    "kernel": State("━", "=", "red"),
    "copy": State("█", "#", "bold green"),
    "user code": State("─", "-", "default"),
}
# The phases of a call in the order of the tables: (state, field of CallRow and Thread).
PHASES = (("asleep", "wait"), ("run queue", "sched_delay"), ("preempted", "preempted"), ("copy", "copy"), ("kernel", "kernel"))
