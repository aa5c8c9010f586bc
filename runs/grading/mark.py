"""The mark of one submission: every criterion with its points, what was seen, and what to do about it."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from findings.pictures.moment import Moment
from runs.grading.criteria import Criterion


class Verdict(enum.StrEnum):
    """What became of a criterion."""

    EARNED = "earned"
    LOST = "lost"
    NOT_SHOWN = "not shown"  # this run, or this machine, can't show it: its points do not count
    INCONCLUSIVE = "inconclusive"  # the recording is incomplete: its points do not count


@dataclass(frozen=True)
class Item:
    """One criterion of the rubric, judged."""

    criterion: Criterion
    verdict: Verdict
    of: int  # its points in the rubric
    seen: str
    remedy: str = ""
    lab: str = ""  # `./iolab lab NAME` shows the fault
    moment: str = ""  # where in the program's life: "2.13 s after it began to listen, in recvfrom"
    diagnosed: tuple[str, ...] = ()  # what the kernel saw of the fault
    picture: Moment | None = None  # of what the thread did then, and which data waited
    tried: bool = True  # False: an earlier fault left nothing to try

    @property
    def points(self) -> int:
        """The points that were earned."""
        return self.of if self.verdict is Verdict.EARNED else 0

    @property
    def counts(self) -> bool:
        """Do its points count?"""
        return self.verdict in (Verdict.EARNED, Verdict.LOST)


@dataclass(frozen=True)
class Mistake:
    """A property of any program that the server breaks, without points: findings/properties has them."""

    id: str
    statement: str
    seen: str
    remedy: str
    lab: str
    moment: str
    picture: Moment | None = None


@dataclass(frozen=True)
class Mark:
    """A submission's mark. `broken` says why it could not be marked at all."""

    name: str
    model: str
    protocol: str
    seed: str
    items: tuple[Item, ...]
    mistakes: tuple[Mistake, ...] = ()  # beside the criteria
    command: tuple[str, ...] = ()
    seconds: float = 0.0
    output: str = ""
    notes: tuple[str, ...] = ()  # what the run did without: protections, the port that it was given
    broken: str = ""

    @property
    def points(self) -> int:
        """The points that were earned."""
        return sum(item.points for item in self.items)

    @property
    def of(self) -> int:
        """The points that count in this run."""
        return sum(item.of for item in self.items if item.counts)

    @property
    def lost(self) -> list[Item]:
        """The criteria that the submission does not meet."""
        return [item for item in self.items if item.verdict is Verdict.LOST]

    @property
    def inconclusive(self) -> bool:
        """Is the recording incomplete, or is there no mark at all?"""
        return bool(self.broken) or any(item.verdict is Verdict.INCONCLUSIVE for item in self.items)

    @property
    def status(self) -> str:
        """pass, fail or inconclusive."""
        if self.inconclusive:
            return "inconclusive"
        return "fail" if self.lost else "pass"
