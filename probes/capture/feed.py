"""Records on their way to a reader that shows them while the program runs, and that may be slower than the program."""

from __future__ import annotations

import collections
import threading
import time
from typing import NamedTuple

MOST_BYTES = 1 << 20  # that wait for the reader: about 5,000 calls


class Piece(NamedTuple):
    """Packed records. `moment`: they say what the threads are in at one moment, and which bursts are open."""

    records: bytes
    moment: bool = False


class Feed:
    """A queue of packed records. While the reader is behind, the instrument takes no details: the kernel's sums go on."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._pieces: collections.deque[Piece] = collections.deque()
        self._bytes = self._being_read = 0
        self._changed = threading.Condition()
        self._closed = False
        self._behind = False

    def put(self, records: bytes, moment: bool = False) -> None:
        """Adds whole records. After the end they are dropped."""
        with self._changed:
            if records and not self._closed:
                self._pieces.append(Piece(records, moment))
                self._bytes += len(records)
                self._changed.notify()

    @property
    def behind(self) -> bool:
        """Whether too much waits. Once it is so, it is so until the reader has taken nearly all."""
        with self._changed:
            self._behind = self._bytes > (self._most_bytes / 8 if self._behind else self._most_bytes)
            return self._behind

    def take(self, seconds: float) -> Piece | None:
        """The next records; an empty piece if none come within that time; None at the end."""
        with self._changed:
            self._bytes -= self._being_read
            self._being_read = 0
            if not self._pieces and not self._closed:
                self._changed.wait(seconds)
            if not self._pieces:
                return None if self._closed else Piece(b"")
            piece = self._pieces.popleft()
            self._being_read = len(piece.records)
            return piece

    def close(self) -> None:
        """No records come any more; the reader takes those that wait."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def abandon(self) -> None:
        """The same, and those that wait are dropped."""
        with self._changed:
            self._closed = True
            self._bytes -= sum(len(piece.records) for piece in self._pieces)
            self._pieces.clear()
            self._changed.notify()


class Quiet:
    """Says when nothing has come for a second; then for two more, four more, and so on."""

    def __init__(self, first: float = 1.0) -> None:
        self._first = self._next = first
        self._since = time.monotonic()

    def lasts(self, nothing: bool) -> bool:
        """Whether it is to be said now that nothing comes. `nothing`: nothing has come since the last time."""
        now = time.monotonic()
        if not nothing:
            self._since, self._next = now, self._first
        elif now - self._since >= self._next:
            self._next += 2 * self._next
            return True
        return False
