"""A question with its options, and the rule that finds the right one in a run.

What a run can't decide (one client has no order) raises Undecided, with the reason: the question is then left out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from labs.kit.lab import Run


class Truth(NamedTuple):
    """What a run says: the right option, and the figures behind it."""

    option: str
    evidence: str


class Undecided(Exception):
    """This run can't tell, for the reason given."""


Rule = Callable[[Run], Truth]


@dataclass(frozen=True)
class Question:
    """One question. `truth` finds the right one of `options` in a run; it raises Undecided where that can't be told."""

    id: str
    text: str
    options: tuple[str, ...]
    truth: Rule
    ranges: bool = False  # the options are ranges of one figure: they stay in order

    def at(self, case: str) -> Question:
        """The same question about one of several servers."""
        return dataclasses.replace(
            self,
            id=f"{self.id}@{case.replace(' ', '-')}",
            text=f'The server "{case}": {self.text[0].lower()}{self.text[1:]}',
            truth=lambda run: self.truth(run.case(case)),
        )


class Ranges:
    """Words for a figure: each label with the largest value that it stands for, in rising order; the last has no end.

    >>> few = Ranges((0, "none"), (2, "1 or 2"), beyond="more")
    >>> [few(one) for one in (0, 1.5, 2, 2.5)]
    ['none', '1 or 2', '1 or 2', 'more']
    """

    def __init__(self, *steps: tuple[float, str], beyond: str) -> None:
        self.labels = (*(label for _, label in steps), beyond)
        self._ends = [end for end, _ in steps]

    def __call__(self, value: float) -> str:
        """The label of a figure."""
        return next((label for end, label in zip(self._ends, self.labels, strict=False) if value <= end), self.labels[-1])


def count(number: int, thing: str) -> str:
    """A number with its noun, for evidence: 1 sleep, 2 sleeps, 3 processes."""
    return f"{number:,} {thing}" + ("" if number == 1 else "es" if thing.endswith(("s", "ch")) else "s")
