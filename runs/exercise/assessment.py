"""What a check of a student's file says about each gap: its faults belong to the gaps that name them."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from runs.exercise.source import Exercise, Gap, Written
from runs.grading.mark import Item, Mark, Mistake, Verdict


class GapState(enum.StrEnum):
    """What a check says about one gap."""

    NOT_BEGUN = "not begun"  # the stub still stands in it
    FAULT = "fault"
    NOT_TRIED = "not tried"  # an earlier fault left nothing to try
    DONE = "done"


@dataclass(frozen=True)
class Judged:
    """One gap with the faults that belong to it."""

    written: Written
    state: GapState
    faults: tuple[Item, ...] = ()
    mistakes: tuple[Mistake, ...] = ()

    @property
    def gap(self) -> Gap:
        """The gap."""
        return self.written.gap


@dataclass(frozen=True)
class Assessment:
    """A checked file. `compiler` is what the compiler printed, if it refused the file; then there is no mark."""

    exercise: Exercise
    path: str
    written: tuple[Written, ...]
    mark: Mark | None
    compiler: str = ""

    @cached_property
    def gaps(self) -> tuple[Judged, ...]:
        """The gaps in order, each with its faults."""
        return tuple(self._judged(each) for each in self.written)

    @property
    def open(self) -> Judged | None:
        """The first gap that is not done: where the student goes on."""
        return next((each for each in self.gaps if each.state in (GapState.NOT_BEGUN, GapState.FAULT)), None)

    @property
    def others(self) -> tuple[Item, ...]:
        """Faults that no gap names."""
        return tuple(item for item in self._lost if self._owner(item.criterion.id) is None)

    @property
    def not_tried(self) -> int:
        """How many checks could not be tried."""
        return sum(1 for item in self.mark.lost if not item.tried) if self.mark else 0

    @property
    def status(self) -> str:
        """pass, fail or inconclusive."""
        return self.mark.status if self.mark else "fail"

    @property
    def _lost(self) -> list[Item]:
        return [item for item in self.mark.lost if item.tried] if self.mark else []

    def _owner(self, check: str) -> int | None:
        """The number of the gap that a fault belongs to: of those that name it, the first with its stub, else the first."""
        naming = [each for each in self.written if check in each.gap.checks]
        stubs = [each for each in naming if not each.begun]
        return (stubs or naming)[0].gap.number if naming else None

    def _judged(self, written: Written) -> Judged:
        number = written.gap.number
        faults = tuple(item for item in self._lost if self._owner(item.criterion.id) == number)
        mistakes = tuple(each for each in (self.mark.mistakes if self.mark else ()) if self._owner(each.id) == number)
        return Judged(written, self._state(written, faults), faults, mistakes)

    def _state(self, written: Written, faults: Sequence[Item]) -> GapState:
        if not written.begun:
            return GapState.NOT_BEGUN
        if self.mark is None:
            return GapState.NOT_TRIED
        if faults:
            return GapState.FAULT
        verdicts = [(item.verdict, item.tried) for item in self.mark.items if item.criterion.id in written.gap.checks]
        return GapState.NOT_TRIED if (Verdict.LOST, False) in verdicts else GapState.DONE
