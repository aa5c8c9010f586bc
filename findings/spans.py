"""Spans of time, (begin, end) in ns: how many of them overlap, and for how long."""

from __future__ import annotations

import bisect
import collections
import itertools
from collections.abc import Iterable, Iterator
from typing import TypeVar

Ns = TypeVar("Ns", int, float)


def overlap(begin: Ns, end: Ns, other_begin: Ns, other_end: Ns) -> Ns:
    """The time that is in both spans; 0 if they do not overlap.

    >>> overlap(0, 10, 5, 20), overlap(0, 10, 10, 20), overlap(0, 10, 15, 20)
    (5, 0, 0)
    """
    return max(min(end, other_end) - max(begin, other_begin), 0)


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


def united(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The spans without overlaps: those that overlap or touch become one.

    >>> list(united([(5, 9), (0, 6), (9, 10), (20, 30)]))
    [(0, 10), (20, 30)]
    """
    begin = end = None
    for first, last in sorted(spans):
        if begin is not None and end is not None and first <= end:
            end = max(end, last)
            continue
        if begin is not None and end is not None:
            yield begin, end
        begin, end = first, last
    if begin is not None and end is not None:
        yield begin, end


def sums(spans: Iterable[tuple[int, int, int]]) -> Iterator[tuple[int, int]]:
    """Each moment at which a span with an amount begins or ends, with the sum of the amounts that it leaves.

    >>> list(sums([(0, 10, 64), (5, 20, 100)]))
    [(0, 64), (5, 164), (10, 100), (20, 0)]
    """
    now = 0
    for at, step in sorted((at, step) for begin, end, amount in spans for at, step in ((begin, amount), (end, -amount))):
        now += step
        yield at, now


class Covered:
    """The time that some spans cover. Time that is in several spans counts once.

    >>> Covered([(0, 10), (5, 20), (30, 40)]).within(15, 35)
    10
    """

    def __init__(self, spans: Iterable[tuple[int, int]] = ()) -> None:
        self._begins: list[int] = []
        self._ends: list[int] = []
        self._sums = [0]  # the time covered by the spans before each span
        for begin, end in united(span for span in spans if span[1] > span[0]):
            self._begins.append(begin)
            self._ends.append(end)
            self._sums.append(self._sums[-1] + end - begin)

    def within(self, begin: int, end: int) -> int:
        """How much of the time from `begin` to `end` the spans cover, ns."""
        return self._until(end) - self._until(begin) if end > begin else 0

    def _until(self, moment: int) -> int:
        at = bisect.bisect_left(self._begins, moment)
        return self._sums[at] - (max(self._ends[at - 1] - moment, 0) if at else 0)


class Spread:
    """Amounts, each spread evenly over a span.

    >>> Spread([(0, 10, 5), (5, 20, 30)]).within(5, 10)
    12.5
    """

    def __init__(self, spans: Iterable[tuple[int, int, int]]) -> None:
        changes: dict[int, float] = collections.defaultdict(float)
        for begin, end, amount in spans:
            if end > begin:
                changes[begin] += amount / (end - begin)
                changes[end] -= amount / (end - begin)
        self._moments = sorted(changes)
        self._rates: list[float] = []  # the amount per ns after each moment
        self._sums: list[float] = []  # the amount until each moment
        rate = whole = 0.0
        for before, at in itertools.pairwise([*self._moments[:1], *self._moments]):
            whole += rate * (at - before)
            rate += changes[at]
            self._rates.append(rate)
            self._sums.append(whole)

    def within(self, begin: int, end: int) -> float:
        """How much of the amounts is between `begin` and `end`."""
        return self._until(end) - self._until(begin)

    def _until(self, moment: int) -> float:
        at = bisect.bisect_right(self._moments, moment) - 1
        return self._sums[at] + self._rates[at] * (moment - self._moments[at]) if at >= 0 else 0.0
