"""Leaves calls out of the records that a recording keeps, where more calls are reported than the recording has room for.

`trace --follow` shows each call, and its recording keeps the calls of the budget (details.py). What is left out is what the
kernel side would not have reported: a call is kept with its sleeps or left out with them, and the record of a thread's end
counts what is kept. The sums have every call in any case.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from probes.kernel.records import LAYOUTS, Kind, SleepFlag

_HEAD = struct.Struct("<II")
_OF_A_CALL = {int(Kind.CALL), int(Kind.BURST), int(Kind.SLEEP), int(Kind.SOCKET_COPY), int(Kind.READY_LIST)}
_SIZES = {int(kind): layout.codec.size for kind, layout in LAYOUTS.items()}


@dataclass
class _LeftOut:
    """What was left out of one thread's records. `sleeps`, `asleep`: outside calls; `asleep` in ns."""

    calls: int = 0
    bursts: int = 0
    sleeps: int = 0
    asleep: int = 0


class Thinner:
    """Decides for each record. A change of `wanted` takes effect for a thread at the end of the call that it is in."""

    def __init__(self) -> None:
        self.wanted = True
        self._at_work = False
        self._keeps: dict[int, bool] = {}  # by thread; a thread that is not in it keeps its records
        self._left_out: dict[int, _LeftOut] = {}

    def keep(self, data: bytes) -> bytes:
        """The records that are kept, of whole packed records."""
        if self.wanted and not self._at_work:
            return data
        self._at_work = True
        source, kept, since, at = bytearray(data), bytearray(), 0, 0
        while at < len(source):
            kind, thread = _HEAD.unpack_from(source, at)
            size = _SIZES[kind]
            if not self._keeps_record(source, at, kind, thread):
                kept += source[since:at]
                since = at + size
            at += size
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
        left_out = self._left_out.setdefault(thread, _LeftOut())
        if kind == Kind.CALL:
            left_out.calls += 1
        elif kind == Kind.BURST:
            left_out.bursts += LAYOUTS[Kind.BURST].decode(memoryview(source), at).count
        elif kind == Kind.SLEEP:
            sleep = LAYOUTS[Kind.SLEEP].decode(memoryview(source), at)
            if sleep.flags & SleepFlag.OUTSIDE:
                left_out.sleeps += 1
                left_out.asleep += sleep.woken - sleep.off

    def _correct(self, source: bytearray, at: int, thread: int) -> None:
        """Takes what was left out of the counts of the thread's end."""
        left_out = self._left_out.pop(thread, None)
        if left_out is None:
            return
        changes = (("calls", left_out.calls), ("bursts", left_out.bursts), ("reported_wait", left_out.asleep))
        for code, fields in (("<Q", changes), ("<I", (("reported", left_out.sleeps),))):
            for name, number in fields:
                place = at + LAYOUTS[Kind.EXIT].offset(name)
                (counted,) = struct.unpack_from(code, source, place)
                struct.pack_into(code, source, place, counted - number)
