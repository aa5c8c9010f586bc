"""Threads of a recording that was cut off before it had their ends: their totals from the last sums in the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from probes.kernel import records
from probes.kernel.records import Kind, Off
from probes.measure.life import Life
from probes.measure.rows import CallSum
from probes.measure.sums import total_of


@dataclass(frozen=True)
class Inside:
    """A thread's figures inside its calls. Durations are ns."""

    calls: int
    total: int
    wait: int
    sched_delay: int
    preempted: int
    copy: int
    sleeps: int
    preemptions: int


def inside_of(rows: Sequence[CallSum]) -> Inside:
    """The figures inside calls, from a thread's rows."""
    names = ("count", "total", "wait", "sched_delay", "preempted", "copy", "sleeps", "preemptions")
    return Inside(*(total_of(rows, name) for name in names))


def end_of(state: Any, rows: Sequence[CallSum], life: Life) -> Any:
    """A record of the end for a thread without one. `state`: its latest record of that kind, if it has one.

    The time in the call that was open then is in no row. It counts as time outside of calls: as a sleep if the thread slept.
    """
    last = max((call.exit for call in life.calls), default=life.birth.start)
    figures = {"end": last}
    inside = inside_of(rows)
    if state is not None and inside.calls >= sum(call.count for call in life.calls):
        woken = max(state.woken_at, state.off_at) if state.woken_at >= state.off_at else state.at
        away = {"wait": 0, "delay": 0, "preempted": 0}
        if state.off == Off.ASLEEP:
            away |= {"wait": woken - state.off_at, "delay": state.at - woken}
        elif state.off == Off.PREEMPTED:
            away["preempted"] = state.at - state.off_at
        elif state.off == Off.NEWBORN:
            away["delay"] = state.at - state.off_at
        figures = {
            "end": state.at,
            "wait": max(0, state.wait - inside.wait) + away["wait"],
            "delay": max(0, state.delay - inside.sched_delay) + away["delay"],
            "preempted": max(0, state.preempted - inside.preempted) + away["preempted"],
        }
    layout = records.LAYOUTS[Kind.EXIT]
    nothing = dict.fromkeys((name for name, _, _ in layout.fields), 0)
    return layout.record(**nothing | {"kind": int(Kind.EXIT), "thread": life.birth.thread, "comm": "", "alive": 1} | figures)
