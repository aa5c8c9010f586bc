"""Overlapping spans, counted as by hand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from findings.spans import most_at_once

SPANS = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 20)).map(lambda span: (span[0], span[0] + span[1])), max_size=12)


@given(SPANS)
def test_the_fullest_moment_is_found(spans: list[tuple[int, int]]) -> None:
    moments = [sum(1 for begin, end in spans if begin <= at < end) for at in range(61)]
    assert most_at_once(spans) == max(moments)
