"""The lanes of a timeline as columns of bytes: what a page embeds, and timeline.js reads.

Each column is split by the places of its bytes: first the lowest byte of each number, then the next. A column of small numbers
is then mostly zeros, which zlib takes out. A million calls take a few MB.

zlib can't shorten the lowest bits of the times. If the data would make a page too large, all times are rounded to a grain of 2,
4, ... ns. If the data is still too large, the lanes show the time in each phase in steps, without the calls.
"""

from __future__ import annotations

import base64
import itertools
import math
import zlib
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from findings.pictures.lanes import Lane, Phase
from findings.pictures.timeline import Timeline, Window, cells
from probes.measure.queues import place
from probes.measure.result import Call, Message, Sleep
from probes.words import visible
from reports import wakers

MOST_CALLS = 1_500_000  # that are shown one by one
_MOST_BYTES = 8_500_000  # of the data in a page: a page below 10 MB
_COARSEST = 256  # ns: a coarser grain would show calls with wrong times
_CELLS = 400_000  # of all lanes together, where there are more calls
_TIMES = {"length", "ready", "copied"}
_SPARE = 0.3  # bits: the lowest bits of the times are not completely random
_LEVEL = 6  # of zlib: level 9 makes a page 2 % smaller, and takes 3 to 8 times as long
_LARGEST = 1 << 31  # results from here on are addresses
_BYTES = 8


@dataclass
class Columns:
    """The columns of all lanes, one after the other. timeline.js has the same names."""

    length: list[int] = field(default_factory=list)  # of segments, in grains, as are all times
    phase: list[int] = field(default_factory=list)
    gap: list[int] = field(default_factory=list)  # of calls: segments since the call before
    parts: list[int] = field(default_factory=list)  # segments of the call
    name: list[int] = field(default_factory=list)  # index of the table of names
    fd: list[int] = field(default_factory=list)
    result: list[int] = field(default_factory=list)  # 0: did not return; 1: an address; else the number + 2
    count: list[int] = field(default_factory=list)
    queue: list[int] = field(default_factory=list)  # of segments asleep: index of the table of queues
    cause: list[int] = field(default_factory=list)
    ready: list[int] = field(default_factory=list)  # of messages: since the message before of the same thread
    copied: list[int] = field(default_factory=list)  # after "ready"


class Table(dict[Any, int]):
    """Words by their numbers: each is in the page once."""

    def number(self, key: Any) -> int:
        """The number of a key; a new key gets the next."""
        return self.setdefault(key, len(self))


@dataclass
class Packed:
    """What a page embeds: `lanes` and the tables as JSON, the columns as base64 of zlib."""

    lanes: list[dict[str, Any]]
    names: list[str]
    queues: list[str]
    causes: list[tuple[str, int]]  # words, and the lane of the waker or -1
    errors: dict[str, str]
    columns: list[tuple[str, int, int]]  # name, length, bytes of each number
    data: str
    step: int  # ns: what is shown is the time in each phase in so long steps; 0: each call is shown
    grain: int  # ns: to which all moments are rounded


def zigzag(number: int) -> int:
    """Small numbers of both signs as small numbers.

    >>> [zigzag(number) for number in (0, -1, 1, -2)]
    [0, 1, 2, 3]
    """
    return 2 * number if number >= 0 else -2 * number - 1


def pack(found: Timeline, lanes: Sequence[Lane], names: Callable[[int], str]) -> Packed:
    """All that is needed to draw these lanes. `names`: the words for a thread by its serial number."""
    grain = 1
    while grain <= _COARSEST and sum(len(lane.calls) for lane in lanes) <= MOST_CALLS:
        packed = _packed(_Packing(found, lanes, names, grain=grain), lanes)
        if len(packed.data) <= _MOST_BYTES:
            return packed
        grain *= _coarser(packed)
    step = max(-(-found.run.span * len(lanes) // _CELLS), 1)
    return _packed(_Packing(found, lanes, names, step=step), lanes)


def _coarser(packed: Packed) -> int:
    """How much coarser the grain must be: each factor 2 takes one bit from every time. base64 writes 6 bits in a byte."""
    times = sum(length for name, length, _ in packed.columns if name in _TIMES)
    return int(2 ** max(math.ceil(6 * (len(packed.data) - _MOST_BYTES) / max(times, 1) + _SPARE), 1))


def _packed(packing: _Packing, lanes: Iterable[Lane]) -> Packed:
    for lane in lanes:
        packing.add(lane)
    return packing.packed()


class _Packing:
    def __init__(
        self, found: Timeline, lanes: Sequence[Lane], names: Callable[[int], str], step: int = 0, grain: int = 1
    ) -> None:
        self._found, self._words, self._step, self._grain = found, names, step, grain
        self._of = {lane.thread.serial: number for number, lane in enumerate(lanes)}
        self._columns = Columns()
        self._names, self._queues, self._causes = Table(), Table(), Table()
        self._seen: dict[tuple[Any, ...], int] = {}
        self._errors: dict[str, str] = {}
        self._lanes: list[dict[str, Any]] = []
        self._messages: dict[int, list[Message]] = {}
        for message in () if step else found.messages:
            self._messages.setdefault(message.thread, []).append(message)

    def add(self, lane: Lane) -> None:
        """One lane: its segments, its calls, its messages."""
        columns, thread = self._columns, lane.thread
        before = len(columns.length)
        if self._step:
            self._coarse(lane)
        else:
            columns.length += lane.lengths if self._grain == 1 else self._rounded(lane)
            columns.phase += lane.phases
            self._calls(lane)
        messages = self._messages.get(thread.serial, [])
        self._lanes.append(
            {
                "name": visible(thread.name),
                "tid": thread.tid,
                "start": self._moment(thread.start),
                "segments": len(columns.length) - before,
                "calls": 0 if self._step else len(lane.calls),
                "messages": len(messages),
            }
        )
        self._add_messages(messages)

    def _moment(self, at: int) -> int:
        """A moment of the run, in grains."""
        return (at - self._found.run.begin) // self._grain

    def _rounded(self, lane: Lane) -> Iterable[int]:
        """The lengths of the segments; each begins at a rounded moment, so errors do not add up."""
        return (high - low for low, high in itertools.pairwise(map(self._moment, lane.starts)))

    def _coarse(self, lane: Lane) -> None:
        """The time in each phase in steps, without the calls."""
        thread = lane.thread
        window = Window(thread.start, max(thread.end, thread.start + 1))
        for cell in cells(lane, window, max(window.span // self._step, 1)):
            for phase, length in enumerate(cell):
                if length:
                    self._columns.length.append(length)
                    self._columns.phase.append(phase)

    def _calls(self, lane: Lane) -> None:
        columns, after, number = self._columns, 0, self._names.number
        columns.parts += lane.parts
        columns.count += [call.count for call in lane.calls]
        columns.name += [number(call.name) for call in lane.calls]
        columns.fd += [0 if call.fd is None else zigzag(call.fd + 1) for call in lane.calls]
        columns.result += map(self._result, lane.calls)
        for call, first, parts in zip(lane.calls, lane.firsts, lane.parts, strict=True):
            columns.gap.append(first - after)
            after = first + parts
            if call.sleeps:
                self._sleeps(call, lane.phases[first:after].count(Phase.ASLEEP))

    def _result(self, call: Call) -> int:
        if call.result is None:
            return 0
        if call.errno:
            self._errors[str(call.result)] = call.errno
        if -_LARGEST < call.result < _LARGEST:
            return 2 * call.result + 2 if call.result >= 0 else 1 - 2 * call.result  # zigzag + 2
        return 1

    def _sleeps(self, call: Call, drawn: int) -> None:
        """The queue and the cause of each segment in which the thread was asleep. A sleep of no length has no segment."""
        sleeps = [sleep for sleep in call.sleeps if sleep.wait > 0]
        for number in range(drawn):
            sleep = sleeps[min(number, len(sleeps) - 1)]
            self._columns.queue.append(self._queues.number(sleep.queue))
            self._columns.cause.append(self._cause(sleep))

    def _cause(self, sleep: Sleep) -> int:
        cause = self._found.causes.of(sleep)
        key = (cause.chain, cause.thread, cause.task)
        if key not in self._seen:
            words = visible(wakers.words(cause, self._words))
            lane = -1 if cause.thread is None else self._of.get(cause.thread, -1)
            self._seen[key] = self._causes.number((words, lane))
        return self._seen[key]

    def _add_messages(self, messages: Iterable[Message]) -> None:
        columns, before = self._columns, 0
        for message in messages:
            ready = self._moment(message.ready)
            columns.ready.append(zigzag(ready - before))
            columns.copied.append(zigzag(self._moment(message.copied) - ready))
            before = ready

    def packed(self) -> Packed:
        """What has been added."""
        columns, pieces = [], []
        for name, values in vars(self._columns).items():
            planes = split(values)
            columns.append((name, len(values), len(planes)))
            pieces += planes
        return Packed(
            lanes=self._lanes,
            names=[visible(name) for name in self._names],
            queues=[visible(place(queue)) for queue in self._queues],
            causes=list(self._causes),
            errors=self._errors,
            columns=columns,
            data=base64.b64encode(zlib.compress(b"".join(pieces), _LEVEL)).decode(),
            step=self._step,
            grain=self._grain,
        )


def split(values: Sequence[int]) -> list[bytes]:
    r"""The bytes of the numbers by their places, the lowest first, without places that are 0 in all numbers.

    >>> split([1, 256, 3])
    [b'\\x01\\x00\\x03', b'\\x00\\x01\\x00']
    """
    packed = array("Q", values)
    if packed.itemsize != _BYTES:
        raise ValueError("the numbers have another size on this machine")
    whole = packed.tobytes() if (1).to_bytes(2, "little") == array("H", [1]).tobytes() else _swapped(packed)
    planes = [whole[place::_BYTES] for place in range(_BYTES)]
    while planes and not planes[-1].strip(b"\0"):
        planes.pop()
    return planes


def _swapped(packed: array[int]) -> bytes:
    packed.byteswap()
    return packed.tobytes()
