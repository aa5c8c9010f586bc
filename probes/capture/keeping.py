"""What becomes of drained records: kernel addresses leave them, and a file may take them while the program runs."""

from __future__ import annotations

import io
from collections.abc import Callable

from probes.addresses import Ordinals
from probes.capture.feed import Feed
from probes.recording import Writer
from probes.thinning import Thinner


class Keeper:
    """The records of one run without addresses, and the names of their stacks. `symbol` names an address of the kernel."""

    def __init__(self, symbol: Callable[[int], str]) -> None:
        self._symbol = symbol
        self._ordinals = Ordinals()
        self._kept = io.BytesIO()  # gives all of it without a copy
        self.stacks: dict[int, tuple[str, ...]] = {}
        self.writer: Writer | None = None  # also takes everything at once
        self.feed: Feed | None = None  # gets all records, those that are not kept, too
        self.thinner = Thinner()
        self.bytes = 0  # kept

    def take(self, records: bytes) -> None:
        """Takes whole packed records. The programs must be loaded still: the kernel has names for their frames only then."""
        data = self._without_addresses(records)
        if self.feed:
            self.feed.put(data)
            data = self.thinner.keep(data)
        self.bytes += len(data)
        self._kept.write(data)
        if self.writer:
            self.writer.records(data)

    def sums(self, rows: bytes, begin: int, at: int) -> None:
        """Gives the file the sums until now; they are kept nowhere else."""
        data = self._without_addresses(rows)
        if self.writer:
            self.writer.sums(data, begin, at)

    def _without_addresses(self, records: bytes) -> bytes:
        """The records with numbers for addresses. A file gets the names of new stacks."""
        data = self._ordinals.replace(records)
        frames = self._ordinals.new_frames()
        names = {number: tuple(map(self._symbol, addresses)) for number, addresses in frames.items()}
        self.stacks |= names
        if self.writer:
            self.writer.stacks(names)
        return data

    def moment(self, records: bytes) -> None:
        """Gives records of one moment to the feed. They are not kept."""
        if self.feed:
            self.feed.put(self._without_addresses(records), moment=True)

    def newest(self, *more: bytes) -> bytes:
        """The records since the last time, and then `more`, which are not kept. Nothing of them is kept any longer."""
        self.take(b"".join(more))
        kept, self._kept = self._kept, io.BytesIO()
        return kept.getvalue()

    @property
    def data(self) -> bytes:
        """All records."""
        return self._kept.getvalue()
