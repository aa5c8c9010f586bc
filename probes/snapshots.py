"""Sums in a recording while the program runs: for a file that is cut off before it has the sums of the end.

A snapshot is one chunk or several. A chunk begins with the time that the sums are of, the number of the chunk in its snapshot,
and how many chunks the snapshot has. Packed records follow: SUM, SLEEP_SUM, OTHERS and STATE. A reader uses the last whole
snapshot of a file without an end, and no snapshot of another file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from probes import bounds

_HEADER = struct.Struct("<QQII")  # the begin and the end of the time, ns; the number of the chunk; the number of chunks
_FIRST, _INTERVAL, _SHARE = 1_000_000_000, 10_000_000_000, 8  # ns, ns, a part of the time until then
_LARGE = 1 << 20  # bytes of a snapshot; larger ones come at each doubling of the time only


def payloads(pieces: Sequence[bytes | memoryview], begin: int, at: int) -> Iterator[bytes]:
    """The chunks of a snapshot whose records are these pieces."""
    for number, piece in enumerate(pieces):
        yield _HEADER.pack(begin, at, number, len(pieces)) + bytes(piece)


@dataclass
class Schedule:
    """When a snapshot is due: 1, 2, 4, 8 and 16 s after the begin, then every 10 s, then after each eighth of the time."""

    begin: int
    _due: int = _FIRST

    def is_due(self, now: int) -> bool:
        """Whether it is time for the next snapshot."""
        return now - self.begin >= self._due

    def taken(self, now: int, size: int) -> None:
        """A snapshot of this size was written."""
        age = now - self.begin
        self._due = age + (age if size > _LARGE else min(age, max(_INTERVAL, age // _SHARE)))


class Latest:
    """The last whole snapshot of a file, from the payloads of its chunks."""

    def __init__(self) -> None:
        self.rows, self.ns = b"", 0
        self._parts: list[bytes] = []

    def add(self, payload: bytes) -> None:
        """The next chunk. Raises ValueError where it does not belong."""
        if len(payload) < _HEADER.size:
            raise ValueError("a part of its sums is missing")
        begin, at, number, of = _HEADER.unpack_from(payload)
        if number == 0:
            self._parts = []
        if number != len(self._parts) or number >= of or at < begin:
            raise ValueError("a part of its sums is missing")
        self._parts.append(payload[_HEADER.size :])
        if sum(map(len, self._parts)) > bounds.SUMS:
            raise ValueError("its sums are too large")
        if len(self._parts) == of:
            self.rows, self.ns, self._parts = b"".join(self._parts), at - begin, []
