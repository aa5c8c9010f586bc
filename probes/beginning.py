"""The records of a long run without the calls and sleeps after the first of them: what a report is made of in bounded time.

The sums have every call in any case. A recording of 2 million calls takes 2 GB and 40 seconds to measure with all of them.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping, Sequence

from probes.kernel.records import Kind, Layout
from probes.thinning import Thinner

_DETAILS = {int(kind) for kind in (Kind.CALL, Kind.BURST, Kind.SLEEP, Kind.SOCKET_COPY, Kind.READY_LIST)}
_NEEDED = {"calls", "bursts", "reported", "reported_wait"}  # in the record of a thread's end
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
        """The layouts of the records, before the first of them. A recording without sums keeps all its records."""
        if self._most is not None and Kind.SUM in layouts and {name for name, _, _ in layouts[Kind.EXIT].fields} >= _NEEDED:
            self._reader = _Beginning(layouts, self._most)

    def add(self, piece: bytes) -> None:
        """The next records."""
        self._size += len(piece)
        if self._reader is None:
            self._kept.write(piece)
            return
        whole, self._rest = self._reader.split(self._rest + piece if self._rest else piece)
        self._kept.write(self._reader.keep(whole))

    @property
    def data(self) -> bytes:
        """What was kept."""
        self._kept.write(self._rest)
        self._rest = b""
        return self._kept.getvalue()  # without a copy: a BytesIO shares its bytes

    @property
    def missing(self) -> int:
        """The bytes that were left out."""
        return self._size - len(self.data)

    @property
    def left_out(self) -> int:
        """The calls that were left out; a burst counts each of its calls."""
        return self._reader.left_out if self._reader else 0

    def windows(self, recorded: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
        """When each call is in the records; `recorded`: when each call was reported (empty: always)."""
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
        self._more = most
        self.begin = self.end = 0  # of the time in which each call is kept, ns

    @property
    def left_out(self) -> int:
        return self._thinner.left_out

    def split(self, data: bytes) -> tuple[bytes, bytes]:
        """The whole records, and what follows them. Raises KeyError for a record of no known kind."""
        at, end, sizes = 0, len(data), self._sizes
        while at < end and at + sizes[data[at]] <= end:
            at += sizes[data[at]]
        return (data, b"") if at == end else (data[:at], data[at:])

    def keep(self, data: bytes) -> bytes:
        """The records that are kept, of whole ones."""
        if not self._more:
            return self._thinner.keep(data)
        at, end, sizes = 0, len(data), self._sizes
        while at < end and self._more:
            kind = data[at]
            self._more -= kind in _DETAILS
            if kind == Kind.CALL:
                (self.end,) = _U64.unpack_from(data, at + self._exit)
            elif kind == Kind.THREAD and not self.begin:
                (self.begin,) = _U64.unpack_from(data, at + self._start)
            at += sizes[kind]
        self._thinner.wanted = self._more > 0
        return data if at == end else data[:at] + self._thinner.keep(data[at:])
