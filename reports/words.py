"""Figures in words: integer ns become text here and nowhere earlier."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from probes.measure.result import Verdict
from probes.words import with_command_name as with_command_name


class VerdictWords(NamedTuple):
    """The word for a verdict, and its meaning for the statement of a check."""

    word: str
    meaning: str


VERDICTS = {
    Verdict.CONFIRMED: VerdictWords("confirmed", "the statement is true: the run shows it"),
    Verdict.REFINED: VerdictWords("refined", "the statement is true, with a qualification that the evidence states"),
    Verdict.REFUTED: VerdictWords("refuted", "the statement is false: a server of this model shows the contrary"),
    Verdict.UNAVAILABLE: VerdictWords(
        "not shown here", "this run or this machine cannot show whether the statement is true; the evidence says why"
    ),
    Verdict.FAILED: VerdictWords("failed", "the server of this run does not have the property"),
    Verdict.INCONCLUSIVE: VerdictWords("inconclusive", "the recording is incomplete and proves nothing"),
}


def definitions(verdicts: Iterable[Verdict]) -> list[VerdictWords]:
    """The words of these verdicts with their meanings, each once, in the order of the definitions."""
    shown = set(verdicts)
    return [words for verdict, words in VERDICTS.items() if verdict in shown]


def claims_named(example: str) -> str:
    """What the numbers of claims are, for a page that shows some: `example` is one of its numbers."""
    return with_command_name(f"{example}: the number of a claim; invoke claims lists all claims")


def duration(ns: int) -> str:
    """A duration with the unit that suits it, three significant digits.

    >>> [duration(one) for one in (0, 640, 4_120, 55_000, 20_050_000, 1_386_000_000)]
    ['0', '640 ns', '4.12 us', '55.0 us', '20.1 ms', '1.39 s']
    """
    if ns == 0:
        return "0"
    if abs(ns) < 1_000:
        return f"{ns} ns"
    value, unit = next(
        ((ns / size, name) for size, name in ((1e3, "us"), (1e6, "ms")) if abs(ns) < 1e3 * size), (ns / 1e9, "s")
    )
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:.{digits}f} {unit}"


def size(number: int) -> str:
    """A number of bytes with the unit that suits it, three significant digits.

    >>> [size(number) for number in (0, 999, 1_900, 13_460_000, 2_000_000_000_000)]
    ['0 B', '999 B', '1.90 kB', '13.5 MB', '2.00 TB']
    """
    value, unit = float(number), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1_000:
            break
        value, unit = value / 1_000, larger
    if unit == "B":
        return f"{number} B"
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {unit}"


def milliseconds(ns: int) -> str:
    """For the columns of a table, where one unit makes figures comparable at a glance.

    >>> [milliseconds(one) for one in (2_214_251_034, 583_154_184, 136_556, 0)]
    ['2,214.3', '583.15', '0.137', '-']
    """
    if not ns:
        return "-"
    return f"{ns / 1e6:,.{3 if ns < 100e6 else 2 if ns < 1e9 else 1}f}"


def share(part: int, whole: int) -> str:
    """A share that is never rounded to nothing or to everything.

    >>> [share(*one) for one in ((983, 1000), (1, 100_000), (0, 10), (10, 10), (99_999, 100_000))]
    ['98.3 %', '<0.1 %', '0 %', '100 %', '>99.9 %']
    """
    if not part or not whole:
        return "0 %"
    if part == whole:
        return "100 %"
    percent = 100 * part / whole
    return "<0.1 %" if percent < 0.1 else ">99.9 %" if percent > 99.9 else f"{percent:.1f} %"
