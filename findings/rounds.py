"""Figures of repeated rounds: a median with its spread, and which of several models differ by more than their spread."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from probes.measure.percentiles import median

FACTOR = 2  # rounds that differ by more than this factor say little of a model


@dataclass(frozen=True)
class Spread:
    """One figure, ns: the median of the rounds, the lowest round and the highest."""

    median: int
    low: int
    high: int

    def below(self, other: Spread) -> bool:
        """Is the highest round lower than the lowest round of the other?"""
        return self.high < other.low

    @property
    def us(self) -> str:
        """In words.

        >>> Spread(83_200, 63_000, 117_400).us
        '83.2 us, rounds 63.0 to 117.4'
        """
        return f"{self.median / 1e3:,.1f} us, rounds {self.low / 1e3:,.1f} to {self.high / 1e3:,.1f}"

    @property
    def wide(self) -> bool:
        """Do the rounds differ so much that a difference between models could hide in them?"""
        return self.high > FACTOR * self.low


def spread(rounds: Iterable[int]) -> Spread | None:
    """The spread of the rounds' figures; None without any.

    >>> spread([30, 10, 20])
    Spread(median=20, low=10, high=30)
    """
    ordered = sorted(rounds)
    middle = median(ordered)
    return None if middle is None else Spread(middle, ordered[0], ordered[-1])


@dataclass(frozen=True)
class Ranking:
    """One figure of several models, each in the same number of interleaved rounds. Low is good."""

    figures: Mapping[str, Spread]

    @property
    def order(self) -> list[tuple[str, Spread]]:
        """The models with their figures, the lowest median first."""
        return sorted(self.figures.items(), key=lambda item: item[1].median)

    @property
    def lowest(self) -> list[str]:
        """The model with the lowest median, and all models that do not differ from it by more than the spread."""
        best = self.order[0][1]
        return [name for name, figure in self.order if not best.below(figure)]

    @property
    def highest(self) -> list[str]:
        """The same for the highest median."""
        worst = self.order[-1][1]
        return [name for name, figure in reversed(self.order) if not figure.below(worst)]

    @property
    def words(self) -> str:
        """Which models are the lowest, as far as the rounds show.

        >>> Ranking({"epoll": Spread(5, 4, 6), "select": Spread(6, 5, 8), "threads": Spread(9, 9, 9)}).words
        'epoll and select are equal within the spread of the rounds, and threads is higher'
        >>> Ranking({"epoll": Spread(5, 4, 6), "threads": Spread(9, 9, 9)}).words
        'epoll is the lowest'
        """
        lowest = self.lowest
        if len(lowest) == 1:
            return f"{lowest[0]} is the lowest"
        higher = [name for name, _ in self.order if name not in lowest]
        rest = f", and {joined(higher)} {'is' if len(higher) == 1 else 'are'} higher" if higher else ""
        return f"{joined(lowest)} are equal within the spread of the rounds{rest}"

    def among_the_lowest(self, name: str) -> bool:
        """Is no other model lower beyond the spread?"""
        return name in self.lowest

    def wide(self, *names: str) -> bool:
        """Do the rounds of one of these models differ too much for a comparison?"""
        return any(self.figures[name].wide for name in names)


def joined(names: Sequence[str]) -> str:
    """Names in a sentence.

    >>> joined(["select"]), joined(["threads", "select", "epoll"])
    ('select', 'threads, select and epoll')
    """
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
