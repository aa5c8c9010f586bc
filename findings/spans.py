"""Spans of time, (begin, end) in ns: how many of them overlap."""

from __future__ import annotations

from collections.abc import Iterable


def most_at_once(spans: Iterable[tuple[int, int]]) -> int:
    """How many of these spans have a moment in common, at most. A span that begins when another ends does not overlap with it.

    >>> most_at_once([(0, 10), (5, 20), (10, 30)])
    2
    """
    most = now = 0
    for _, step in sorted((at, step) for begin, end in spans for at, step in ((begin, 1), (end, -1))):
        now += step
        most = max(most, now)
    return most
