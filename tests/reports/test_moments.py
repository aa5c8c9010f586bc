"""Moments in words and the ticks of an axis: round, in order, inside, few, and with different labels."""

from __future__ import annotations

import itertools

import pytest

from findings import zoom
from reports.moments import moment, ticks, typed

SPANS = [1, 9, 730, 10_000, 1_234_567, 60_000_000, 3_000_000_000, 7_200_000_000_000]


@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize("begin", [0, 17, 1_532_145_300])
@pytest.mark.parametrize("most", [1, 4, 12])
def test_ticks_are_few_and_in_order_and_have_different_labels(begin: int, span: int, most: int) -> None:
    found = ticks(begin, begin + span, most)
    places = [at for at, _ in found]
    assert places == sorted(set(places)) and len({label for _, label in found}) == len(found) <= most + 1
    assert all(begin <= at < begin + span for at in places)
    steps = {later - at for at, later in itertools.pairwise(places)}
    assert len(steps) <= 1 and all(str(step).rstrip("0") in ("1", "2", "5") for step in steps)


@pytest.mark.parametrize("span", SPANS[2:])
def test_an_axis_from_0_has_ticks_in_most_of_its_room(span: int) -> None:
    assert len(ticks(0, span, 8)) >= 4


@pytest.mark.parametrize("ns", [0, 1, 640, 21_953_340, 999_999_999, 1_500_000_000, 3_600_000_000_000])
@pytest.mark.parametrize("step", [1, 1_000, 1_000_000])
def test_what_is_typed_is_the_moment_to_a_tenth_of_the_step(ns: int, step: int) -> None:
    text = typed(ns, step)
    read = zoom.moment("from", text)
    assert text == moment(ns, step).replace(" ", "") and abs(read.ns - ns) <= max(step / 10, 1) and not read.before_end
