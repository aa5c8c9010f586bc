"""What a check of a student's file says about each gap: its faults belong to the gaps that name them."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from runs.exercise.source import Exercise, Gap, Written
from runs.grading import criteria
from runs.grading.mark import Item, Mark, Mistake
from runs.grading.rubric import Rubric

_PROTOCOL = "protocol"  # the criterion


class GapState(enum.StrEnum):
    """What a check says about one gap."""

    NOT_BEGUN = "not begun"  # the stub still stands in it
    FAULT = "fault"
    PERHAPS = "perhaps"  # a fault may come from this gap, or from another gap that also says perhaps
    UNKNOWN = "not known"  # an earlier fault hides what this gap does
    DONE = "done"


_OPEN = (GapState.NOT_BEGUN, GapState.FAULT, GapState.PERHAPS)


def so_far(rubric: Rubric, written: Sequence[Written]) -> Rubric:
    """The rubric for a file with stubs: the trials that gaps with code name, and the first check of the first stub."""
    stubs = [each for each in written if not each.begun]
    if not stubs:
        return rubric
    named = {check for each in written if each.begun for check in each.gap.checks} | {stubs[0].gap.checks[0]}
    points = {name: points for name, points in rubric.points.items() if name in named or name not in criteria.TRIALS}
    return dataclasses.replace(rubric, points=points)


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
    trials_left: int = 0  # trials of later gaps, which wait until all gaps before them have code
    settled: frozenset[int] = frozenset()  # numbers of the gaps whose code an earlier check found done

    @cached_property
    def gaps(self) -> tuple[Judged, ...]:
        """The gaps in order, each with its faults."""
        return tuple(self._judged(each) for each in self.written)

    @property
    def open(self) -> Judged | None:
        """The first gap that is not done: where the student goes on."""
        return next((each for each in self.gaps if each.state in _OPEN), None)

    @property
    def suspected(self) -> tuple[Judged, ...]:
        """The gaps that the faults of the open gap may come from."""
        perhaps = tuple(each for each in self.gaps if each.state is GapState.PERHAPS)
        return perhaps if self.open in perhaps else ()

    @property
    def others(self) -> tuple[Item, ...]:
        """Faults that no gap names, and that do not follow from another fault."""
        return tuple(
            item for item in self._lost if not self._suspects(item.criterion.id) and not self._follows(item.criterion.id)
        )

    @property
    def following(self) -> tuple[Item, ...]:
        """Faults that follow from the fault of the protocol: a server without replies meets few checks."""
        return tuple(item for item in self._lost if self._follows(item.criterion.id))

    @property
    def not_tried(self) -> int:
        """How many checks could not be tried."""
        return sum(1 for item in self.mark.lost if not item.tried) if self.mark else 0

    @property
    def status(self) -> str:
        """pass, fail or inconclusive. What clients saw is a fault also where events were lost."""
        seen = any(item.criterion.kind is not criteria.Kind.KERNEL for item in self._lost)
        return self.mark.status if self.mark and not seen else "fail"

    @property
    def _lost(self) -> list[Item]:
        return [item for item in self.mark.lost if item.tried] if self.mark else []

    @cached_property
    def _ids(self) -> set[str]:
        return {item.criterion.id for item in self._lost}

    def _naming(self, check: str) -> list[Written]:
        """The gaps that name the check: of those with their stubs only the first."""
        naming = [each for each in self.written if check in each.gap.checks]
        stubs = [each for each in naming if not each.begun]
        return stubs[:1] or naming

    def _follows(self, check: str) -> bool:
        """Is the fault a consequence of a protocol that fails? A gap with its stub keeps the faults that it names."""
        if _PROTOCOL not in self._ids or check == _PROTOCOL:
            return False
        return all(each.begun for each in self._naming(check))

    def _suspects(self, check: str) -> list[int]:
        """The numbers of the gaps that the fault may come from. A gap with code is suspected if its first check fails.

        Code that an earlier check found done is suspected last.
        """
        if self._follows(check):
            return []
        naming = self._naming(check)
        sure = [each for each in naming if not each.begun or each.gap.checks[0] in self._ids]
        numbers = [each.gap.number for each in sure or naming]
        return [number for number in numbers if number not in self.settled] or numbers

    def _judged(self, written: Written) -> Judged:
        number = written.gap.number
        faults = tuple(item for item in self._lost if self._suspects(item.criterion.id)[:1] == [number])
        mistakes = tuple(each for each in (self.mark.mistakes if self.mark else ()) if self._suspects(each.id)[:1] == [number])
        return Judged(written, self._state(written, faults), faults, mistakes)

    def _state(self, written: Written, faults: Sequence[Item]) -> GapState:
        if not written.begun:
            return GapState.NOT_BEGUN
        if self.mark is None:
            return GapState.UNKNOWN
        if any(len(self._suspects(item.criterion.id)) == 1 for item in faults):
            return GapState.FAULT
        if any(written.gap.number in self._suspects(check) for check in self._ids):
            return GapState.PERHAPS
        lost = [item for item in self.mark.lost if item.criterion.id in written.gap.checks]
        hidden = any(not item.tried or self._follows(item.criterion.id) for item in lost)
        return GapState.UNKNOWN if hidden else GapState.DONE
