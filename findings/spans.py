"""Spans of time, (begin, end) in ns: how many of them overlap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def most_at_once(spans: Iterable[tuple[int, int]]) -> int:
    """How many of these spans have a moment in common, at most. A span that begins when another ends does not overlap with it.

    >>> most_at_once([(0, 10), (5, 20), (10, 30)])
    2
    """
    return max((number for _, number in at_once(spans)), default=0)


def at_once(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Each moment at which a span begins or ends, with the number of spans that it leaves.

    >>> list(at_once([(0, 10), (5, 20), (10, 30)]))
    [(0, 1), (5, 2), (10, 1), (10, 2), (20, 1), (30, 0)]
    """
    now = 0
    for at, step in sorted((at, step) for begin, end in spans for at, step in ((begin, 1), (end, -1))):
        now += step
        yield at, now
