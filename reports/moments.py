"""Moments of a run in words, and the ticks of an axis: times after the start of the run."""

from __future__ import annotations

import itertools
import math

_UNITS = ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us"), (1, "ns"))
_LONGEST = 9  # characters: a longer label of a tick says how much later than the first moment it is
_STEPS = (1, 2, 5)


def moment(ns: int, step: int = 1) -> str:
    """A moment, exact to one part in ten of a step.

    >>> moment(21_953_340, 10_000), moment(1_500_000_000, 1_000_000), moment(0), moment(640)
    ('21.953 ms', '1.5 s', '0', '640 ns')
    """
    if not ns:
        return "0"
    size, unit = next((size, unit) for size, unit in _UNITS if abs(ns) >= size)
    digits = max(math.ceil(math.log10(size / max(step / 10, 1))), 0)
    text = f"{ns / size:.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} {unit}"


def typed(ns: int, step: int = 1) -> str:
    """A moment as the options --from and --to take it.

    >>> typed(21_953_340, 10_000)
    '21.953ms'
    """
    return moment(ns, step).replace(" ", "")


def ticks(begin: int, end: int, most: int) -> list[tuple[int, str]]:
    """At most so many round moments from `begin` to `end`, each with its label. Where round moments have long labels: moments
    at a round distance from `begin`.

    >>> ticks(12_000_000, 20_000_000, 4)
    [(12000000, '12 ms'), (14000000, '14 ms'), (16000000, '16 ms'), (18000000, '18 ms')]
    >>> ticks(1_532_145_300, 1_532_146_300, 3)
    [(1532145300, '1.5321453 s'), (1532145800, '+500 ns')]
    """
    step = _step(max(end - begin, 1) / max(most, 1))
    found = [(at, moment(at, step)) for at in range(-(-begin // step) * step, end, step)]
    if all(len(label) <= _LONGEST for _, label in found):
        return found
    later = ((begin + number * step, f"+{moment(number * step, step)}") for number in itertools.count(1))
    return [(begin, moment(begin, step)), *itertools.takewhile(lambda tick: tick[0] < end, later)]


def _step(least: float) -> int:
    """The first of 1, 2, 5, 10, 20, 50 ... that is not below `least`."""
    size = 10 ** max(math.floor(math.log10(max(least, 1))), 0)
    return next(int(size * factor) for factor in (*_STEPS, 10) if size * factor >= least)
