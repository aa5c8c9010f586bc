"""When calls and sleeps are reported one by one: all the time, or within a budget.

A budget is spent in two halves. The first is for the beginning of the run, without a gap. The second is for samples: windows of
a fixed length, each an eighth later than the one before, counted from the start. So a run of any length has samples from all of
it, and 100 windows reach from 1 second to 36 hours.

The process that empties the ring (emptier.py) imports this file, so it imports little.
"""

from __future__ import annotations

import math

DETAILS = 50_000  # calls and sleeps: a report is made of them in two seconds, and a file of 1 MB
RECORD = 256  # bytes of a call in the ring
_WINDOW = 40_000_000  # ns
_LONGEST_PAUSE = 0.1  # seconds
_LATER = 1.125  # the next window begins so many times later
_SHARE = 32  # a sample takes at most this part of the rest, so a program of 2 million calls/s has samples for minutes
_LEAST = 64 * RECORD  # bytes that a sample may take in any case, if they are left


class Budget:
    """`records`: how many calls and sleeps may be reported; None: all, up to `most_bytes`. Times are ns on one clock.

    `full`: all were wanted, and there were too many. `windows`: the windows that have ended. `opened`: when the open window
    began.
    """

    def __init__(self, records: int | None, most_bytes: int) -> None:
        self.records, self.most_bytes = records, most_bytes
        self.full = False
        self.windows: list[tuple[int, int]] = []
        self.opened: int | None = None
        self._began: int | None = None
        self._next: float = 0

    def wants(self, taken: int, now: int, reported: bool = True, closed: int = 0) -> bool:
        """Whether details are wanted from now on. `taken`: bytes of records so far. `reported`: False while the kernel side
        reports no calls one by one for another reason. `closed`: when the kernel side ended the open window (see `grant`); 0:
        it did not.
        """
        if self._began is None:
            self._began = self.opened = now
        if closed and self.opened is not None:
            self.full = self.full or self.records is None
            self._close(closed)
        wanted = reported and self._wanted(taken, now - self._began)
        if wanted and self.opened is None:
            self.opened = now
        elif not wanted and self.opened is not None:
            self._close(now)
        return wanted

    def _close(self, now: int) -> None:
        if self.opened is not None and self._began is not None:
            self.windows.append((self.opened, now))
            self.opened = None
            self._next = max((now - self._began) * _LATER, now - self._began + _WINDOW)

    def grant(self, taken: int) -> int:
        """How many bytes of details the kernel side may report in the window that opens now. After that, it ends the window."""
        if self.records is None:
            return max(self.most_bytes - taken, 0)
        limit = min(self.records * RECORD, self.most_bytes)
        if not self.windows:
            return limit // 2
        return max(min(max((limit - taken) // _SHARE, _LEAST), limit - taken), 0)

    def pause(self, now: int, shortest: float) -> float:
        """Until when nothing can change, seconds: between two windows there are few records, and no end to watch for."""
        if self.opened is not None or self._began is None or self.full:
            return shortest
        return min(max((self._began + self._next - now) / 1e9, shortest), _LONGEST_PAUSE)

    def _wanted(self, taken: int, age: int) -> bool:
        if self.records is None:
            self.full = self.full or taken > self.most_bytes
            return not self.full
        limit = self.records * RECORD
        if taken >= min(limit, self.most_bytes):
            self._next = math.inf
            return False
        if not self.windows:
            return taken < limit / 2
        if self.opened is not None:
            return self._began is not None and age < self.opened - self._began + _WINDOW
        return age >= self._next

    def end(self, now: int) -> list[tuple[int, int]]:
        """All windows, the open one closed at `now`."""
        return [*self.windows, *([(self.opened, now)] if self.opened is not None else [])]
