"""Percentiles and medians of durations and counts. A median is always a measured value, never a mean of two values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def percentile_of(ordered: Sequence[int], share: float) -> int | None:
    """The value that `share` of the sorted values stay below or at; None if there are no values.

    >>> percentile_of([1, 2, 3, 4], 0.5), percentile_of([], 0.5)
    (3, None)
    """
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else None


def median(values: Iterable[int]) -> int | None:
    """The middle value, of an even number the larger one of the two in the middle; None if there are no values."""
    return percentile_of(sorted(values), 0.5)
