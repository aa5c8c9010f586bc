"""Which models differ, by the spread of repeated rounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from findings.rounds import Ranking, Spread, spread

ROUNDS = st.lists(st.integers(1, 10**9), min_size=1, max_size=7)


@given(ROUNDS)
def test_the_median_is_between_the_lowest_and_the_highest_round(rounds: list[int]) -> None:
    found = spread(rounds)
    assert found and found.low == min(rounds) <= found.median <= found.high == max(rounds) and found.median in rounds


def test_nothing_has_no_spread() -> None:
    assert spread([]) is None


@pytest.mark.parametrize(
    ("figures", "lowest", "highest"),
    [
        ({"a": Spread(5, 4, 6), "b": Spread(8, 7, 9)}, ["a"], ["b"]),
        ({"a": Spread(5, 4, 7), "b": Spread(8, 7, 9)}, ["a", "b"], ["b", "a"]),
        ({"a": Spread(5, 4, 6), "b": Spread(7, 6, 9), "c": Spread(9, 8, 12)}, ["a", "b"], ["c", "b"]),
    ],
)
def test_models_differ_beyond_their_spread_only(figures: dict[str, Spread], lowest: list[str], highest: list[str]) -> None:
    assert (Ranking(figures).lowest, Ranking(figures).highest) == (lowest, highest)


@given(st.dictionaries(st.sampled_from(["epoll", "select", "poll_x", "threads"]), ROUNDS.map(spread), min_size=1))
def test_a_model_is_never_both_among_the_lowest_and_above_them(figures: dict[str, Spread]) -> None:
    ranking = Ranking(figures)
    best = ranking.order[0][1]
    for name, figure in figures.items():
        assert ranking.among_the_lowest(name) != best.below(figure)
        assert ranking.among_the_lowest(name) or f"{name} is the lowest" not in ranking.words
