"""Sentences about a timeline that several reports share."""

from __future__ import annotations

from collections.abc import Iterable

from findings.pictures.lanes import Lane
from findings.pictures.timeline import Timeline, Window
from findings.spans import overlap
from probes.words import count
from reports.words import share


def not_recorded(found: Timeline, lanes: Iterable[Lane], window: Window, sign: str) -> str:
    """What these lanes do not show of the window, and how they show that: "? is ..."; "" where nothing is missing."""
    lanes = list(lanes)
    unknown = found.not_recorded(lanes, window)
    if not unknown:
        return ""
    alive = sum(overlap(lane.thread.start, lane.thread.end, window.begin, window.end) for lane in lanes)
    part = f"{sign} is {share(unknown, alive)} of this time: "
    if found.recorded >= found.of:
        return part + "workers of the kernel make no calls, so what they did at each moment is not known"
    recorded = f"{found.recorded:,} of {count(found.of, 'call')} were recorded one by one"
    return f"{part}{recorded}; the threads may have worked or slept there"
