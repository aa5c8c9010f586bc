"""Percentiles and medians: values that were measured."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from probes.measure.percentiles import median, percentile_of


@given(st.lists(st.integers(), min_size=1))
def test_a_median_is_one_of_the_values_in_the_middle(values: list[int]) -> None:
    middle = median(values)
    assert middle in values
    assert 2 * sum(value < middle for value in values) <= len(values)
    assert 2 * sum(value > middle for value in values) <= len(values)


def test_the_ends_and_nothing() -> None:
    assert (percentile_of([1, 2, 3], 0), percentile_of([1, 2, 3], 1)) == (1, 3)
    assert median([]) is None
