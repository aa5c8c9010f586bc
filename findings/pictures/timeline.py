"""The timeline of a run: its threads as lanes in bands of one role, a window of it, and the cells of a window.

A report that shows a window in so many columns asks for the cells: how long the thread spent in each phase, column by column.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from findings.part import Part
from findings.pictures.lanes import AWAKE, Lane, Phase, Woken, lanes, wake_ups
from findings.pictures.scene import Scene
from findings.sleeps.causes import Cause, Causes
from findings.threads.groups import Group
from findings.zoom import Zoom
from probes.measure.result import Message, Result

_COPY_SHOWN = 8  # a copy is the phase of its cell from one part in so many on: or a picture of the whole call shows none
_AROUND = 0.2  # of the message's time: what the default window shows before and after it
_FEW = 3  # lanes that each kind has, before what comes first in a report gets the rest of the room


@dataclass(frozen=True)
class Window:
    """A part of the run, ns on the clock of the records."""

    begin: int
    end: int

    @property
    def span(self) -> int:
        """Its length, ns."""
        return self.end - self.begin


Cell = list[int]  # ns in each Phase, in the order of the enum


@dataclass(frozen=True)
class Band:
    """The threads of one kind: what has room is shown as lanes, the others folded. The busiest come first."""

    group: Group
    lanes: tuple[Lane, ...]
    folded: tuple[Lane, ...]


@dataclass(frozen=True)
class Timeline:
    """A run's lanes by their bands, and its messages. `run` is the whole run."""

    run: Window
    groups: tuple[Group, ...]
    of_thread: dict[int, Lane]
    messages: Sequence[Message]
    causes: Causes
    typical: Window | None  # of the message that the picture shows
    recorded: int  # calls that are recorded one by one
    of: int
    details: tuple[tuple[int, int], ...]  # the windows in which they are; empty: all the time

    @property
    def telling(self) -> Window:
        """The most telling window: the message of the picture, else the whole run."""
        return self.typical or self.run

    def window(self, zoom: Zoom) -> Window:
        """The window that the user names. Raises WrongUsage where it has nothing of the run."""
        return Window(*zoom.within(self.run.begin, self.run.end)) if zoom.named else self.telling

    def bands(self, window: Window, most: int) -> tuple[Band, ...]:
        """The threads that lived in the window, at most so many as lanes of their own: of each kind the busiest."""
        alive = [(group, self._alive(group, window)) for group in self.groups]
        alive = [(group, here) for group, here in alive if here]
        own = [min(len(here), _FEW) for _, here in alive]
        while sum(own) > most:  # very many kinds: those that come last in a report have no lane
            own[max(index for index, number in enumerate(own) if number)] -= 1
        for index, (_, here) in enumerate(alive):  # what serves comes first, what is idle or short-lived last
            own[index] += min(len(here) - own[index], most - sum(own))
        return tuple(
            Band(group, tuple(here[:number]), tuple(here[number:])) for (group, here), number in zip(alive, own, strict=True)
        )

    def _alive(self, group: Group, window: Window) -> list[Lane]:
        """The lanes of the group in this window, the busiest first."""
        here = [self.of_thread[thread.serial] for thread in group.threads]
        here = [lane for lane in here if lane.thread.start < window.end and lane.thread.end > window.begin]
        if len(here) == 1:
            return here
        busy = {lane.thread.serial: lane.awake(window.begin, window.end) for lane in here}
        return sorted(here, key=lambda lane: (-busy[lane.thread.serial], lane.thread.serial))

    def cause(self, woken: Woken) -> Cause:
        """What ended the sleep."""
        return self.causes.of(woken.sleep)

    def wake_ups(self, shown: Iterable[Lane], window: Window) -> list[Woken]:
        """The wake-ups of these threads in the window, in order."""
        found = [woken for lane in shown for woken in wake_ups(lane, window.begin, window.end)]
        return sorted(found, key=lambda woken: woken.sleep.woken)

    def messages_of(self, lane: Lane, window: Window) -> list[Message]:
        """The messages of a thread that became ready, or were copied, in the window."""
        return [
            message
            for message in self._messages_of.get(lane.thread.serial, ())
            if message.ready < window.end and message.copied >= window.begin
        ]

    @cached_property
    def _messages_of(self) -> dict[int, list[Message]]:
        found: dict[int, list[Message]] = {}
        for message in self.messages:
            found.setdefault(message.thread, []).append(message)
        return found

    def not_recorded(self, shown: Iterable[Lane], window: Window) -> int:
        """The time of these threads in the window of which nothing is recorded, ns."""
        return sum(lane.spent(window.begin, window.end)[Phase.NOT_RECORDED] for lane in shown)


def timeline(
    result: Result, whole: Result, part: Part, groups: Sequence[Group], causes: Causes, typical: Scene | None
) -> Timeline:
    """The timeline of a run, or of a part of its threads: their calls are shown whole, whatever part of the calls is wanted."""
    shown = {thread.serial for thread in result.threads}
    found = lanes(whole)
    return Timeline(
        run=Window(min((t.start for t in whole.threads), default=0), max((t.end for t in whole.threads), default=0)),
        groups=tuple(group for group in groups if any(thread.serial in shown for thread in group.threads)),
        of_thread={serial: lane for serial, lane in found.items() if serial in shown},
        messages=sorted(result.messages if part else whole.messages, key=lambda message: message.ready),
        causes=causes,
        typical=_around(typical) if typical else None,
        recorded=whole.details.recorded,
        of=whole.details.of,
        details=() if whole.details.complete else whole.details.windows,
    )


def _around(scene: Scene) -> Window:
    """The window of one message; the scene's times after the wake-up are without the time of the probe's own work."""
    begin, end = scene.start, scene.end + scene.message.probed
    margin = max(int(_AROUND * (end - begin)), 1)
    return Window(begin - margin, end + margin)


def cells(lane: Lane, window: Window, columns: int) -> list[Cell]:
    """How long the thread spent in each phase, for each column of the window. Before and after its life: no time."""
    found = [[0] * len(Phase) for _ in range(columns)]
    span = max(window.span, 1)
    ends = [window.begin + -(-column * span // columns) for column in range(1, columns + 1)]
    column = max(lane.thread.start - window.begin, 0) * columns // span
    for low, high, phase in lane.within(window.begin, window.end):
        while low >= ends[column]:
            column += 1
        while high > ends[column]:
            found[column][phase] += ends[column] - low
            low = ends[column]
            column += 1
        found[column][phase] += high - low
    return found


def main_phase(cell: Cell) -> Phase | None:
    """The phase that took most of the cell's time; None: the thread did not live then. A copy counts from an eighth on."""
    alive = sum(cell)
    if not alive:
        return None
    if cell[Phase.COPY] * _COPY_SHOWN >= alive:
        return Phase.COPY
    return max(Phase, key=lambda phase: cell[phase])


def worked(cell: Cell) -> bool:
    """Was the thread awake for some of the cell's time?"""
    return any(cell[phase] for phase in AWAKE)


def awake_threads(columns: Sequence[Sequence[Cell]]) -> list[int | None]:
    """Of several lanes: how many threads worked in each column; None: nothing is recorded of any."""
    found: list[int | None] = []
    for column in zip(*columns, strict=True):
        known = [cell for cell in column if any(cell[phase] for phase in Phase if phase is not Phase.NOT_RECORDED)]
        unknown = any(cell[Phase.NOT_RECORDED] for cell in column)
        found.append(None if unknown and not known else sum(1 for cell in known if worked(cell)))
    return found
