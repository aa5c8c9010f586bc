"""Overlapping spans, counted as by hand."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from findings.spans import Covered, most_at_once, overlap

SPANS = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 20)).map(lambda span: (span[0], span[0] + span[1])), max_size=12)


@given(SPANS)
def test_the_fullest_moment_is_found(spans: list[tuple[int, int]]) -> None:
    moments = [sum(1 for begin, end in spans if begin <= at < end) for at in range(61)]
    assert most_at_once(spans) == max(moments)


@given(SPANS, st.integers(0, 60), st.integers(0, 60))
def test_covered_time_counts_each_moment_once(spans: list[tuple[int, int]], begin: int, end: int) -> None:
    moments = sum(1 for at in range(begin, end) if any(first <= at < last for first, last in spans))
    assert Covered(spans).within(begin, end) == moments


@given(SPANS)
def test_the_overlap_of_two_spans_is_the_moments_in_both(spans: list[tuple[int, int]]) -> None:
    for (begin, end), other in itertools.pairwise(spans):
        assert overlap(begin, end, *other) == len(set(range(begin, end)) & set(range(*other)))
