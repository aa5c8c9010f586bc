"""Keeps the first calls and sleeps of a long recording, so that a report takes bounded time and memory.

The sums have every call in any case. With all its calls, a recording of 2 million calls takes 40 s and 2 GB to measure.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping, Sequence

from probes.kernel.records import Kind, Layout
from probes.thinning import Thinner

_DETAILS = {int(kind) for kind in (Kind.CALL, Kind.BURST, Kind.SLEEP, Kind.SOCKET_COPY, Kind.READY_LIST)}
_NEEDED = {"calls", "bursts", "reported", "reported_wait"}  # counts that the record of a thread's end must have
_U64 = struct.Struct("<Q")


class Records:
    """Takes a file's records piece by piece. `most`: how many calls and sleeps are kept; None: all."""

    def __init__(self, most: int | None = None) -> None:
        self._most = most
        self._kept = io.BytesIO()
        self._rest = b""  # the beginning of a record that goes on in the next piece
        self._reader: _Beginning | None = None
        self._size = 0

    def begin(self, layouts: Mapping[Kind, Layout]) -> None:
        """Takes the layouts, before the first record. A recording without sums keeps all its records."""
        if self._most is not None and Kind.SUM in layouts and {name for name, _, _ in layouts[Kind.EXIT].fields} >= _NEEDED:
            self._reader = _Beginning(layouts, self._most)

    def add(self, piece: bytes) -> None:
        """Takes the next piece."""
        self._size += len(piece)
        if self._reader is None:
            self._kept.write(piece)
            return
        whole, self._rest = self._reader.split(self._rest + piece if self._rest else piece)
        self._kept.write(self._reader.keep(whole))

    @property
    def data(self) -> bytes:
        """The records that were kept."""
        self._kept.write(self._rest)
        self._rest = b""
        return self._kept.getvalue()  # without a copy: a BytesIO shares its bytes

    @property
    def missing(self) -> int:
        """How many bytes were left out."""
        return self._size - len(self.data)

    @property
    def left_out(self) -> int:
        """How many calls were left out; a burst counts as each of its calls."""
        return self._reader.left_out if self._reader else 0

    def windows(self, recorded: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
        """When the records have every call. `recorded`: when every call was reported; empty: always."""
        if self._reader is None or not self._reader.left_out:
            return tuple(recorded)
        end = self._reader.end
        return tuple((begin, min(last, end)) for begin, last in recorded or [(self._reader.begin, end)] if begin < end)


class _Beginning:
    def __init__(self, layouts: Mapping[Kind, Layout], most: int) -> None:
        self._thinner = Thinner(layouts)
        self._thinner.wanted = most > 0
        self._sizes = {int(kind): layout.codec.size for kind, layout in layouts.items()}
        self._start, self._exit = layouts[Kind.THREAD].offset("start"), layouts[Kind.CALL].offset("exit")
        self._remaining = most
        self.begin = self.end = 0  # of the time in which every call is kept, ns

    @property
    def left_out(self) -> int:
        return self._thinner.left_out

    def split(self, data: bytes) -> tuple[bytes, bytes]:
        """The complete records, and the part of a record that follows them. Raises KeyError for an unknown kind of record."""
        at, end, sizes = 0, len(data), self._sizes
        while at < end and at + sizes[data[at]] <= end:
            at += sizes[data[at]]
        return (data, b"") if at == end else (data[:at], data[at:])

    def keep(self, data: bytes) -> bytes:
        """The records to keep, of these complete records."""
        if not self._remaining:
            return self._thinner.keep(data)
        at, end, sizes = 0, len(data), self._sizes
        while at < end and self._remaining:
            kind = data[at]
            self._remaining -= kind in _DETAILS
            if kind == Kind.CALL:
                (self.end,) = _U64.unpack_from(data, at + self._exit)
            elif kind == Kind.THREAD and not self.begin:
                (self.begin,) = _U64.unpack_from(data, at + self._start)
            at += sizes[kind]
        self._thinner.wanted = self._remaining > 0
        return data if at == end else data[:at] + self._thinner.keep(data[at:])
