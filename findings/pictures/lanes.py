"""A thread's life as a lane: segments that follow each other without a gap, each with what the thread did in it.

A lane of a million calls is a few arrays. Time without a record is NOT_RECORDED, and is never counted as asleep: between the
windows of a long run, in which calls are recorded one by one, only the sums of calls are known.
"""

from __future__ import annotations

import bisect
import enum
import itertools
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from findings.pictures.states import in_order
from probes.measure.result import Call, Result, Sleep, Thread


class Phase(enum.IntEnum):
    """What a thread did."""

    ASLEEP = 0
    RUN_QUEUE = 1  # woken, without a CPU
    PREEMPTED = 2  # in a call: its length is measured, its place is not
    COPY = 3
    KERNEL = 4
    USER = 5  # outside of calls; page faults and preemption there are not told apart
    BURST = 6  # a burst of identical calls without result, with the user code between them
    NOT_RECORDED = 7

    @property
    def words(self) -> str:
        """As reports say it."""
        return _WORDS[self]


_WORDS = ("asleep", "run queue", "preempted", "copy", "kernel", "user code", "calls without result", "not recorded")
PHASES = tuple(Phase)
AWAKE = (Phase.RUN_QUEUE, Phase.PREEMPTED, Phase.COPY, Phase.KERNEL, Phase.USER, Phase.BURST)


@dataclass(frozen=True)
class Lane:
    """One thread. Segment i lasts `lengths[i]` ns in phase `phases[i]`; the first begins with the thread.

    Call i has the segments from `firsts[i]` on, `parts[i]` of them. What lies between the segments of two calls is outside of
    calls.
    """

    thread: Thread
    lengths: array[int]
    phases: bytearray
    calls: Sequence[Call]
    firsts: array[int]
    parts: array[int]

    @cached_property
    def starts(self) -> array[int]:
        """When each segment begins, ns; and the end of the last."""
        return array("q", itertools.accumulate(self.lengths, initial=self.thread.start))

    def within(self, begin: int, end: int) -> Iterable[tuple[int, int, Phase]]:
        """The segments of this time, cut at its ends."""
        starts, phases = self.starts, self.phases
        first = max(bisect.bisect_right(starts, begin) - 1, 0)
        last = min(bisect.bisect_left(starts, end), len(phases))
        low = max(starts[first], begin)
        for index in range(first, last):
            high = starts[index + 1]
            if high > end:
                high = end
            if high > low:
                yield low, high, PHASES[phases[index]]
            low = high

    def calls_within(self, begin: int, end: int) -> Iterable[tuple[Call, int, int]]:
        """The calls that were under way in this time, with their begin and end on the lane."""
        starts = self.starts
        first = bisect.bisect_right(self.firsts, bisect.bisect_right(starts, begin) - 1)
        for index in range(max(first - 1, 0), len(self.calls)):
            low, high = starts[self.firsts[index]], starts[self.firsts[index] + self.parts[index]]
            if low >= end:
                return
            if high > begin:
                yield self.calls[index], low, high

    def spent(self, begin: int, end: int) -> Sequence[int]:
        """How long the thread was in each phase, ns, in the order of the enum."""
        if begin <= self.thread.start and end >= self.thread.end:
            return self._in_all
        found = [0] * len(PHASES)
        for low, high, phase in self.within(begin, end):
            found[phase] += high - low
        return found

    @cached_property
    def _in_all(self) -> Sequence[int]:
        found = [0] * len(PHASES)
        for length, phase in zip(self.lengths, self.phases, strict=True):
            found[phase] += length
        return found

    def awake(self, begin: int, end: int) -> int:
        """How long it was not asleep, as far as that is recorded, ns."""
        spent = self.spent(begin, end)
        return sum(spent[phase] for phase in AWAKE)


def lanes(result: Result) -> dict[int, Lane]:
    """The lane of each thread, by its serial number."""
    calls_of: dict[int, list[Call]] = {}
    for call in result.calls:
        calls_of.setdefault(call.thread, []).append(call)
    return {
        thread.serial: _Builder(thread, calls_of.get(thread.serial, []), _known(thread, calls_of, result)).lane()
        for thread in result.threads
    }


def _known(thread: Thread, calls_of: dict[int, list[Call]], result: Result) -> Sequence[tuple[int, int]] | None:
    """The windows in which each call of the thread was recorded; None: each call was, in its whole life."""
    recorded = sum(call.count for call in calls_of.get(thread.serial, []))
    if recorded >= thread.calls and not thread.kernel_worker and "full" not in result.events.reasons:
        return None
    if result.events.lost or thread.kernel_worker:
        return ()
    last = max((call.enter for call in calls_of.get(thread.serial, [])), default=thread.start)
    return result.details.windows or [(thread.start, last)]


def _begin(window: tuple[int, int]) -> int:
    return window[0]


class _Builder:
    """Makes the lane of one thread."""

    def __init__(self, thread: Thread, calls: Iterable[Call], windows: Sequence[tuple[int, int]] | None) -> None:
        self._thread, self._windows = thread, windows
        self._calls = in_order(calls)
        self._at, self._burst_until = thread.start, 0
        self._before = thread.start  # the last moment with a record
        self._lengths, self._phases = array("q"), bytearray()

    def lane(self) -> Lane:
        firsts, parts = array("q"), array("q")
        for call, end in self._calls:
            self._outside(call.enter)
            firsts.append(len(self._lengths))
            self._inside(call, max(end, self._at))
            parts.append(len(self._lengths) - firsts[-1])
            self._before = call.enter
        self._outside(self._thread.end, last=True)
        return Lane(self._thread, self._lengths, self._phases, [call for call, _ in self._calls], firsts, parts)

    def _add(self, until: int, phase: Phase) -> None:
        if until > self._at:
            self._lengths.append(until - self._at)
            self._phases.append(phase)
            self._at = until

    def _outside(self, until: int, last: bool = False) -> None:
        """The time until the next call, or, after the last recorded call, until the thread's end."""
        if until <= self._at:
            return
        if self._windows is not None and not self._same_window(until, last):
            self._add(until, Phase.NOT_RECORDED)
            return
        if self._burst_until > self._at:  # a burst on one descriptor goes on after calls on another
            self._add(min(self._burst_until, until), Phase.BURST)
        self._add(until, Phase.USER)

    def _same_window(self, until: int, last: bool) -> bool:
        """Do this call and the call before belong to one window?

        A call is reported if details were wanted when the call before it ended (probes/kernel/calls.c), so it may begin after
        the end of the window. The end of a thread is always reported: it must lie in the window itself.
        """
        windows = self._windows or ()
        before = bisect.bisect_right(windows, self._before, key=_begin)
        same = before > 0 and before == bisect.bisect_right(windows, until, key=_begin)
        return same and (not last or until <= windows[before - 1][1])

    def _inside(self, call: Call, end: int) -> None:
        """The parts of a call: figures of sleeps and copies have their place, the rest is kernel."""
        if call.histogram is not None:
            self._burst_until = max(self._burst_until, call.exit)
            self._add(end, Phase.BURST)
        elif not call.sleeps and not call.preempted and not (call.copied and call.copy):
            self._add(end, Phase.KERNEL)
        else:
            first = len(self._lengths)
            for low, high, phase in sorted(_placed(call)):
                self._add(min(low, end), Phase.KERNEL)
                self._add(min(high, end), phase)
            self._add(end, Phase.KERNEL)
            self._preempt(call.preempted, first)

    def _preempt(self, left: int, first: int) -> None:
        """Takes the time without a CPU from the ends of the longest stretches in the kernel: its place is not known."""
        while left > 0:
            stretches = [index for index in range(first, len(self._lengths)) if self._phases[index] == Phase.KERNEL]
            longest = max(stretches, key=lambda index: self._lengths[index], default=None)
            if longest is None:
                return
            taken = min(left, self._lengths[longest])
            left -= taken
            if taken == self._lengths[longest]:
                self._phases[longest] = Phase.PREEMPTED
                continue
            self._lengths[longest] -= taken
            self._lengths.insert(longest + 1, taken)
            self._phases.insert(longest + 1, Phase.PREEMPTED)


def _placed(call: Call) -> list[tuple[int, int, Phase]]:
    found = [(sleep.off, sleep.woken, Phase.ASLEEP) for sleep in call.sleeps]
    found += [(sleep.woken, sleep.on, Phase.RUN_QUEUE) for sleep in call.sleeps]
    if call.copied and call.copy:
        found.append((call.copied - call.copy, call.copied, Phase.COPY))
    return found


@dataclass(frozen=True, slots=True)
class Woken:
    """A wake-up on a lane: the sleep that it ended, and the call that slept."""

    thread: int
    call: Call
    sleep: Sleep


def wake_ups(lane: Lane, begin: int, end: int) -> Iterable[Woken]:
    """The wake-ups of a thread in this time, in order."""
    for call, _, _ in lane.calls_within(begin, end):
        for sleep in call.sleeps:
            if begin <= sleep.woken < end:
                yield Woken(lane.thread.serial, call, sleep)
