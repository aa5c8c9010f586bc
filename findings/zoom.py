"""The part of a run that the user wants to see: moments such as 12ms, 1.5s, -5ms (before the end) and end.

This file imports nothing that a start would have to wait for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from probes.errors import WrongUsage
from probes.words import ms

_MOMENT = re.compile(r"(-?)([0-9]+(?:\.[0-9]*)?|\.[0-9]+) ?(ns|us|\u00b5s|ms|s)")
_UNITS = {"ns": 1, "us": 1_000, "\u00b5s": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_EXAMPLE = "for example --from 12ms --to 20ms; the units are ns, us, ms and s, and -5ms is 5 ms before the end of the run"


@dataclass(frozen=True)
class Moment:
    """So many ns after the start of the run, or before its end; `text` as the user typed it."""

    text: str
    ns: int
    before_end: bool = False

    def within(self, begin: int, end: int) -> int:
        """The moment of a run."""
        return end - self.ns if self.before_end else begin + self.ns


@dataclass(frozen=True)
class Zoom:
    """The window that the user names; None for an end that the user leaves open."""

    begin: Moment | None = None
    end: Moment | None = None

    @property
    def named(self) -> bool:
        """Did the user name a window?"""
        return self.begin is not None or self.end is not None

    def within(self, begin: int, end: int) -> tuple[int, int]:
        """The window of a run. Raises WrongUsage where it has nothing of the run."""
        low = self.begin.within(begin, end) if self.begin else begin
        high = self.end.within(begin, end) if self.end else end
        if self.begin and low >= end:
            raise WrongUsage(
                f"--from {self.begin.text} is not before the end of the run, which lasted {ms(end - begin)}", _EXAMPLE
            )
        if self.end and high <= begin:
            raise WrongUsage(
                f"--to {self.end.text} is not after the start of the run, which lasted {ms(end - begin)}", _EXAMPLE
            )
        if self.begin and self.end and low >= high:
            raise WrongUsage(f"--from {self.begin.text} is not before --to {self.end.text}", _EXAMPLE)
        return max(low, begin), min(high, end)


def moment(option: str, text: str) -> Moment:
    """A moment as the user types it. Raises WrongUsage.

    >>> moment("from", "1.5ms").ns, moment("to", "-20us").before_end, moment("to", "end").ns
    (1500000, True, 0)
    """
    if text in ("0", "end"):
        return Moment(text, 0, before_end=text == "end")
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise WrongUsage(f"--{option} {text} is not a time with a unit", _EXAMPLE)
    sign, number, unit = found.groups()
    return Moment(text, round(float(number) * _UNITS[unit]), before_end=bool(sign))
