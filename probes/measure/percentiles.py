"""Percentiles and medians, of durations, counts and shares. A median is a measured value, never a mean of two values.

Only the benchmark has another median (runs/bench/figures.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

Number = TypeVar("Number", int, float)


def percentile_of(ordered: Sequence[Number], share: float) -> Number | None:
    """The value that `share` of the sorted values stay below or at; None if there are no values.

    >>> percentile_of([1, 2, 3, 4], 0.5), percentile_of([], 0.5)
    (3, None)
    """
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else None


def median(values: Iterable[Number]) -> Number | None:
    """The middle value; the larger of the two middle values if their number is even. None if there are no values.

    >>> median([3, 1, 2, 8]), median([0.5, 0.25, 0.75]), median([])
    (3, 0.5, None)
    """
    return percentile_of(sorted(values), 0.5)
