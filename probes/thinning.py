"""Leaves out calls where there are more than a recording or a report has room for.

`trace --follow` shows every call, and its recording keeps the calls of the budget (capture/details.py). A report on a large
recording has its first calls (beginning.py). The records that are kept look as if the kernel side had reported only them. A
call is kept with its sleeps, or left out with them. The record of a thread's end counts what is kept. The sums have every call
in any case.
"""

from __future__ import annotations

import collections
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from probes.kernel.records import LAYOUTS, Kind, Layout, SleepFlag

_HEAD = struct.Struct("<II")
_OF_A_CALL = {int(Kind.CALL), int(Kind.BURST), int(Kind.SLEEP), int(Kind.SOCKET_COPY), int(Kind.READY_LIST)}
_CALL = int(Kind.CALL)


@dataclass
class _LeftOut:
    """What was left out of one thread's records. `sleeps`, `asleep`: outside calls; `asleep` in ns."""

    calls: int = 0
    bursts: int = 0
    sleeps: int = 0
    asleep: int = 0


class Thinner:
    """Decides for each record. A change of `wanted` takes effect for a thread at the end of the call that it is in."""

    def __init__(self, layouts: Mapping[Kind, Layout] = LAYOUTS) -> None:
        self.wanted = True
        self._layouts = layouts
        self._sizes = {int(kind): layout.codec.size for kind, layout in layouts.items()}
        self._at_work = False
        self._keeps: dict[int, bool] = {}  # by thread; a thread that is not in it keeps its records
        self._left_out: dict[int, _LeftOut] = collections.defaultdict(_LeftOut)
        self._of_ended = 0  # calls that were left out, of threads that have ended

    @property
    def left_out(self) -> int:
        """How many calls were left out; a burst counts as each of its calls."""
        return self._of_ended + sum(left_out.calls + left_out.bursts for left_out in self._left_out.values())

    def keep(self, data: bytes) -> bytes:
        """The records to keep, of these complete packed records."""
        if self.wanted and not self._at_work:
            return data
        self._at_work = True
        source, kept, since, at, end = bytearray(data), bytearray(), 0, 0, len(data)
        read, sizes, keeps, wanted = _HEAD.unpack_from, self._sizes, self._keeps, self.wanted
        while at < end:
            kind, thread = read(source, at)
            size = sizes[kind]
            if kind == _CALL and not wanted and not keeps.get(thread, True):  # most records: no function call, to save time
                self._left_out[thread].calls += 1
            elif self._keeps_record(source, at, kind, thread):
                at += size
                continue
            if since != at:
                kept += source[since:at]
            at += size
            since = at
        return bytes(kept + source[since:])

    def _keeps_record(self, source: bytearray, at: int, kind: int, thread: int) -> bool:
        if kind in _OF_A_CALL:
            keeps = self._keeps.get(thread, True)
            if kind == Kind.CALL:
                self._keeps[thread] = self.wanted
            if not keeps:
                self._count(source, at, kind, thread)
            return keeps
        if kind == Kind.THREAD:
            self._keeps[thread] = self.wanted
        elif kind == Kind.EXIT:
            self._keeps.pop(thread, None)  # the bursts that it left open come after its end, and are kept
            self._correct(source, at, thread)
        return True

    def _count(self, source: bytearray, at: int, kind: int, thread: int) -> None:
        left_out = self._left_out[thread]
        if kind == Kind.CALL:
            left_out.calls += 1
        elif kind == Kind.BURST:
            left_out.bursts += self._layouts[Kind.BURST].decode(memoryview(source), at).count
        elif kind == Kind.SLEEP:
            sleep = self._layouts[Kind.SLEEP].decode(memoryview(source), at)
            if sleep.flags & SleepFlag.OUTSIDE:
                left_out.sleeps += 1
                left_out.asleep += sleep.woken - sleep.off

    def _correct(self, source: bytearray, at: int, thread: int) -> None:
        """Takes what was left out of the counts of the thread's end."""
        left_out = self._left_out.pop(thread, None)
        if left_out is None:
            return
        self._of_ended += left_out.calls + left_out.bursts
        changes = (("calls", left_out.calls), ("bursts", left_out.bursts), ("reported_wait", left_out.asleep))
        for code, fields in (("<Q", changes), ("<I", (("reported", left_out.sleeps),))):
            for name, number in fields:
                place = at + self._layouts[Kind.EXIT].offset(name)
                (counted,) = struct.unpack_from(code, source, place)
                struct.pack_into(code, source, place, counted - number)
