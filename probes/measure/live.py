"""A program while it runs: readings of the kernel's tables, one after the other, with the names of the threads.

A thread that sleeps in one call all the time adds nothing to the sums before it wakes. So a reading also has the state of each
thread: since when it is off the CPU, in which call, on which wait queue.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

from probes.kernel import records, syscalls
from probes.kernel.records import Kind, Layout, Off
from probes.measure.frames import own
from probes.measure.queues import queue_name
from probes.measure.rows import CallSum, SleepSum
from probes.measure.sums import SumReader


@dataclass(frozen=True, slots=True)
class Asleep:
    """A sleep that is under way. `call` is None outside of calls."""

    since: int  # ns of the kernel's clock
    call: str | None
    queue: str


@dataclass(frozen=True, slots=True)
class Followed:
    """One thread at one moment, or at its end: the totals of its life until then, ns.

    `tid` and `pid` are those of its own pid namespace. `at`: the moment, or the end of the thread.
    """

    serial: int
    tid: int
    pid: int
    parent: int  # the serial of its creator
    name: str
    kernel_worker: bool
    ended: bool
    born: int
    at: int
    wait: int = 0
    delay: int = 0  # woken, or new, and waiting for a CPU
    preempted: int = 0
    calls: int = 0
    asleep: Asleep | None = None

    @property
    def cpu(self) -> int:
        """On a CPU, ns."""
        return max(0, self.at - self.born - self.wait - self.delay - self.preempted)


@dataclass(frozen=True, eq=False)
class Moment:
    """The program at one moment. Rows of sums and totals of threads grow from moment to moment. Rows have no histograms."""

    at: int
    threads: Mapping[int, Followed]
    calls: tuple[CallSum, ...]
    sleeps: tuple[SleepSum, ...]


_Row = TypeVar("_Row", CallSum, SleepSum)
_HEADS = {Kind.SUM: 32, Kind.SLEEP_SUM: 40}  # bytes that tell rows apart (probes/capture/sums.py)


def _without_histogram(kind: Kind) -> Layout:
    return Layout(kind, tuple(field for field in records.LAYOUTS[kind].fields if field[0] != "buckets"))


_SHORT = {kind: _without_histogram(kind) for kind in _HEADS}  # the histogram is a row's last field


class LiveReader:
    """Makes moments from readings, in their order."""

    def __init__(self, arch: str) -> None:
        self._arch = arch
        self._threads: dict[int, Followed] = {}
        self._queues: dict[int, str] = {}  # by the numbers of stacks
        self._rows: dict[bytes, tuple[bytes, CallSum | SleepSum]] = {}  # the latest of each, by its head
        self._handlers: dict[int, Callable[[Any], None]] = {
            Kind.THREAD: self._on_thread,
            Kind.EXEC: self._on_exec,
            Kind.NAME: self._on_name,
            Kind.EXIT: self._on_exit,
            Kind.STATE: self._on_state,
        }
        self._stacks: Mapping[int, tuple[str, ...]] = {}
        self._sums = SumReader(arch, lambda number: self._stacks.get(number, ()))

    def read(self, at: int, data: bytes, stacks: Mapping[int, tuple[str, ...]]) -> Moment:
        """The moment of a reading: its packed records, and the names of all stacks."""
        self._stacks = stacks
        calls: list[CallSum] = []
        sleeps: list[SleepSum] = []
        place, end = 0, len(data)
        while place < end:
            kind = data[place]
            layout = records.LAYOUTS[Kind(kind)]
            if kind == Kind.SUM:
                calls.append(self._row(data, place, layout, self._sums.call_sum))
            elif kind == Kind.SLEEP_SUM:
                sleeps.append(self._row(data, place, layout, self._sums.sleep_sum))
            elif handler := self._handlers.get(kind):
                handler(layout.decode(data, place))
            place += layout.codec.size
        return Moment(at, dict(self._threads), tuple(calls), tuple(sleeps))

    def _row(self, data: bytes, place: int, layout: Layout, make: Callable[[Any], _Row]) -> _Row:
        """A row of sums. Most rows of many threads are as they were a second ago: the same bytes are the same row."""
        head, raw = data[place : place + _HEADS[layout.kind]], data[place : place + layout.codec.size]
        known = self._rows.get(head)
        if known is None or known[0] != raw:
            known = self._rows[head] = raw, make(_SHORT[layout.kind].decode(data, place))
        return cast("_Row", known[1])

    def _queue(self, number: int) -> str:
        if number not in self._queues:
            self._queues[number] = queue_name(own(self._stacks.get(number, ())))
        return self._queues[number]

    def _on_thread(self, record: Any) -> None:
        creator = self._threads.get(record.parent)
        self._threads[record.thread] = Followed(
            serial=record.thread,
            tid=record.ns_tid,
            pid=record.ns_tgid,
            parent=record.parent,
            name=record.comm or (creator.name if creator else ""),
            kernel_worker=bool(record.worker),
            ended=False,
            born=record.start,
            at=record.start,
        )

    def _on_exec(self, record: Any) -> None:
        if known := self._threads.get(record.thread):
            self._threads[record.thread] = replace(known, name=record.comm, tid=record.ns_tid, pid=record.ns_tgid)

    def _on_name(self, record: Any) -> None:
        if known := self._threads.get(record.thread):
            self._threads[record.thread] = replace(known, name=record.comm)

    def _on_exit(self, record: Any) -> None:
        if known := self._threads.get(record.thread):
            self._threads[record.thread] = replace(
                known,
                ended=True,
                name=record.comm or known.name,
                at=record.end,
                wait=record.wait + record.in_wait,
                delay=record.delay + record.in_delay,
                preempted=record.preempted + record.in_preempted,
                calls=record.made,
                asleep=None,
            )

    def _on_state(self, state: Any) -> None:
        """The totals until the thread left the CPU, and what it has been in since."""
        known = self._threads.get(state.thread)
        if known is None or known.ended:
            return
        off = max(0, state.at - state.off_at)
        asleep, wait, delay = None, state.wait, state.delay
        if state.off == Off.ASLEEP:
            woken = bool(state.woken_at) and state.woken_at >= state.off_at
            slept = min(state.woken_at - state.off_at, off) if woken else off
            wait, delay = wait + slept, delay + off - slept
            if not woken:
                call = None if state.nr == -1 else syscalls.name_of(state.nr, self._arch)
                asleep = Asleep(state.off_at, call, self._queue(state.stack))
        self._threads[state.thread] = replace(
            known,
            born=state.born,
            at=state.at,
            wait=wait,
            delay=delay + (off if state.off == Off.NEWBORN else 0),
            preempted=state.preempted + (off if state.off == Off.PREEMPTED else 0),
            calls=state.made,
            asleep=asleep,
        )
