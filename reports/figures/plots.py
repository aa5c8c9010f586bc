"""The plots of the comparison: one line for each model, with the spread of its messages or of its rounds.

They are drawn here and not by a plotting library: matplotlib takes 170 MB, 2.9 s to import and 1 s for each plot (measured).
Its SVG has no dark colours, no tooltips and no text that a screen reader could read. The figures have all of these already.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from findings.distribution import Distribution
from reports.figures.letters import cut, width
from reports.figures.paper import Paper
from reports.words import duration

WIDE, NARROW = 720.0, 380.0
_FONT, _LINE = 12.0, 24.0
_DECADE = 10
_FAR = 20  # a factor, from which on bars are logarithmic: on a linear axis the short ones would vanish


@dataclass(frozen=True)
class Mark:
    """One distribution of a line: a class of the style sheet, and what it measures."""

    kind: str
    about: str
    found: Distribution


@dataclass(frozen=True)
class Spreads:
    """One line of a plot of distributions."""

    label: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class Bar:
    """One line of a plot of sums: its value in words, and the lowest and highest round where there are several."""

    label: str
    value: float
    words: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class _Axis:
    """Where a value stands: on a logarithmic axis from `low` on, or on a linear one from 0 on."""

    left: float
    right: float
    low: float
    high: float
    linear: bool = False

    def x(self, value: float) -> float:
        """The place of a value; what is below the axis stands at its beginning."""
        if self.linear:
            return self.left + min(max(value, 0), self.high) / self.high * (self.right - self.left)
        inside = min(max(value, self.low), self.high)
        return self.left + math.log(inside / self.low) / math.log(self.high / self.low) * (self.right - self.left)

    @property
    def decades(self) -> list[float]:
        """The powers of ten, which get a line of their own."""
        exponents = range(round(math.log10(self.low)), round(math.log10(self.high)) + 1)
        return [float(_DECADE**exponent) for exponent in exponents]


def _axis(left: float, right: float, values: Sequence[float], least: float) -> _Axis:
    """From one power of ten to another, so that all values have room."""
    low = max(min(values, default=least), least)
    high = max([*values, low * _DECADE])
    return _Axis(left, right, 10.0 ** math.floor(math.log10(low)), 10.0 ** math.ceil(math.log10(high)))


def spreads(title: str, lines: Sequence[Spreads], wide: float = WIDE) -> Paper:
    """Distributions of durations: a dot for the median, a thick line for half of the messages, a thin one for 90 % of them."""
    paper, left = _paper(title, [line.label for line in lines], wide)
    values = [value for line in lines for mark in line.marks for value in (mark.found.p5, mark.found.p95) if value > 0]
    axis = _axis(left, wide - 14, values, 1_000)
    _grid(paper, axis, [duration(round(value)) for value in axis.decades])
    for number, line in enumerate(lines):
        middle = _middle(number)
        _label(paper, line.label, left, middle)
        shift = _LINE / (len(line.marks) + 1)
        for place, mark in enumerate(line.marks):
            _mark(paper, axis, mark, f"{line.label}, {mark.about}", middle + (place + 1) * shift - _LINE / 2)
    return paper


def _mark(paper: Paper, axis: _Axis, mark: Mark, words: str, y: float) -> None:
    found = mark.found
    tip = (
        f"{words}: median {duration(found.p50)}, half of {found.count:,} messages from {duration(found.p25)} to"
        f" {duration(found.p75)}, 90 % from {duration(found.p5)} to {duration(found.p95)}"
    )
    paper.line([(axis.x(found.p5), y), (axis.x(found.p95), y)], f"{mark.kind} range")
    paper.line([(axis.x(found.p25), y), (axis.x(found.p75), y)], f"{mark.kind} half")
    paper.rectangle((axis.x(found.p50) - 3.5, y - 3.5), (7, 7), f"f-{mark.kind}")
    paper.line([(axis.x(found.p5) - 4, y), (axis.x(found.p95) + 4, y)], "none", tip)


def bars(title: str, lines: Sequence[Bar], kind: str, wide: float = WIDE, least: float = 1.0) -> Paper:
    """One bar for each model, its value in words at the end; a thin line for the rounds.

    The axis is linear if the values differ by less than a factor of 20, else logarithmic, which the title says.
    """
    values = [value for line in lines for value in (line.value, line.low, line.high) if value]
    linear = max(values, default=1) < _FAR * min(values, default=1)
    paper, left = _paper(title if linear else f"{title} (logarithmic)", [line.label for line in lines], wide)
    room = max((width(line.words, _FONT) for line in lines), default=0) + 12
    right = wide - 14 - room
    axis = _Axis(left, right, 0, max(values, default=1), linear=True) if linear else _axis(left, right, values, least)
    paper.line([(left, 38), (left, paper.height - 6)], "rule")
    for number, line in enumerate(lines):
        middle = _middle(number)
        _label(paper, line.label, left, middle)
        end = axis.x(line.high or line.value)
        paper.rectangle(
            (left, middle - 6), (max(axis.x(line.value) - left, 1.5), 12), f"f-{kind}", f"{line.label}: {line.words}"
        )
        if line.low is not None and line.high is not None:
            paper.line([(axis.x(line.low), middle), (axis.x(line.high), middle)], "range")
        paper.text((end + 6, middle), line.words, _FONT)
    return paper


def _paper(title: str, labels: Sequence[str], wide: float) -> tuple[Paper, float]:
    """The paper with its title; and where the plot begins."""
    height = _middle(len(labels)) + 8
    paper = Paper((wide, height), title, title)
    paper.text((8, 14), cut(title, _FONT, wide - 16, bold=True), _FONT, bold=True)
    return paper, 8 + min(max((width(label, _FONT) for label in labels), default=0) + 12, wide * 0.36)


def _middle(number: int) -> float:
    """The middle of a line of the plot."""
    return 40 + (number + 0.5) * _LINE


def _label(paper: Paper, label: str, left: float, middle: float) -> None:
    paper.text((left - 8, middle), cut(label, _FONT, left - 16), _FONT, anchor="end")


def _grid(paper: Paper, axis: _Axis, words: Sequence[str]) -> None:
    """A line for each power of ten, with its value."""
    bottom = paper.height - 6
    for value, word in zip(axis.decades, words, strict=True):
        x = axis.x(value)
        paper.line([(x, 38), (x, bottom)], "rule")
        half = width(word, _FONT * 0.9) / 2
        paper.text((min(max(x, half + 4), paper.width - half - 4), 30), word, _FONT * 0.9, "soft", "middle")
