"""A question with its options, and the rule that finds the right option in a run.

A run may not decide a question (with a single client there is no order). The rule then raises Undecided with the reason, and
the question is left out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from findings.view import Run


class Truth(NamedTuple):
    """The right option according to a run, and the figures that show it."""

    option: str
    evidence: str


class Undecided(Exception):
    """This run does not decide the question; the message is the reason."""


Rule = Callable[[Run], Truth]


@dataclass(frozen=True)
class Question:
    """`truth` finds the right one of `options` in a run. It raises Undecided where the run does not decide."""

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
    """Words for a figure: each label with the largest value that it stands for, in rising order; the last label has no end.

    >>> few = Ranges((0, "none"), (2, "1 or 2"), beyond="more")
    >>> [few(value) for value in (0, 1.5, 2, 2.5)]
    ['none', '1 or 2', '1 or 2', 'more']
    """

    def __init__(self, *steps: tuple[float, str], beyond: str) -> None:
        self.labels = (*(label for _, label in steps), beyond)
        self._ends = [end for end, _ in steps]

    def __call__(self, value: float) -> str:
        """The label of a figure."""
        return next((label for end, label in zip(self._ends, self.labels, strict=False) if value <= end), self.labels[-1])
