"""Labels stand near what they name, in its order, and never on each other."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from reports.figures.places import spread

LABELS = st.lists(st.tuples(st.floats(0, 400), st.floats(5, 40)), max_size=12)


@given(LABELS)
def test_labels_keep_their_order_and_do_not_overlap(labels: list[tuple[float, float]]) -> None:
    labels.sort()
    heights = [height for _, height in labels]
    centres = spread([at for at, _ in labels], heights, 0, 600)
    for (centre, high), (other, higher) in itertools.pairwise(zip(centres, heights, strict=True)):
        assert other - centre >= (high + higher) / 2 - 1e-6
    if labels and sum(heights) <= 600:
        assert centres[0] >= heights[0] / 2 - 1e-6 and centres[-1] <= 600 - heights[-1] / 2 + 1e-6


def test_a_label_with_room_stands_at_its_moment() -> None:
    assert spread([50, 200], [10, 10], 0, 400) == [50, 200]
