"""What a recording's file may contain at most. A reader that keeps to these bounds needs bounded memory and time for any file.

A recording comes from anybody, so no length, count or depth in it is believed before it is compared with its bound.
"""

from __future__ import annotations

import json
from typing import Any

RECORDS = (
    640 << 20
)  # bytes of records: calls and sleeps end at 512 MB, and those of threads, sockets and sums are 100 MB at most
SUMS = 64 << 20  # bytes of all sums at one moment; the tables of the kernel side fill 35 MB
ALL_SUMS = 2 << 30  # bytes of the sums of all moments, of which a reader keeps the last
JSON = 128 << 20  # bytes of its JSON texts; a million exchanges of a lab's clients are 36 MB
VALUES = 8 << 20  # commas and opening brackets in them: a list of no value is 3 bytes in the file, and 64 in memory
HEAD = 16 << 20  # bytes of JSON about the start; the longest command line is 2 MB (execve(2)), or 12 MB as JSON
PIECE = 4 << 20  # bytes of records, or of JSON with names of stacks, in one chunk
CHUNKS = 200_000  # of a file; a run of three weeks has so many
DENSEST, SMALL = 64, 16 << 20  # records of more than SMALL bytes are packed so many times at most; those of a real run 5 to 30


def too_dense(size: int, packed: int) -> bool:
    """Whether data of this size was packed so well that it is no record of a run: such a file is small and fills the memory."""
    return size > max(SMALL, DENSEST * packed)


class Texts:
    """Reads the JSON texts of one file, which keep to the bounds together."""

    def __init__(self) -> None:
        self._bytes = self._values = 0

    def read(self, text: bytes) -> Any:
        """JSON without NaN, and without a key that stands twice in one object. Raises ValueError or RecursionError."""
        self._bytes += len(text)
        self._values += sum(map(text.count, (b",", b"[", b"{")))
        if self._bytes > JSON or self._values > VALUES:
            raise ValueError("its JSON text is too large")
        return json.loads(text, parse_constant=_refuse, object_pairs_hook=_once)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return members
