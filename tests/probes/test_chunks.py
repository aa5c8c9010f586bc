"""The chunks of a file come back as they were written, until the file ends; anything else in it is refused."""

from __future__ import annotations

import io
import random
import zlib
from collections.abc import Callable

import pytest

from probes import bounds, chunks
from probes.chunks import ChunkKind

CONTENT = [
    (ChunkKind.HEAD, b"{}"),
    (ChunkKind.RECORDS, random.Random(1).randbytes(5000)),  # can't be packed
    (ChunkKind.STACKS, b"{}" * 100),
    (ChunkKind.RECORDS, bytes(5000)),
    (ChunkKind.END, b""),
]


def written(content: list[tuple[ChunkKind, bytes]] = CONTENT) -> bytes:
    file = io.BytesIO()
    writer = chunks.Writer(file)
    for kind, payload in content:
        writer.write(kind, payload)
    return file.getvalue()


def read(packed: bytes) -> list[tuple[ChunkKind, bytes]]:
    line, newline, rest = packed.partition(b"\n")
    assert line == b"iolab recording 2" and newline
    return list(chunks.read(io.BytesIO(rest)))


def starts() -> list[int]:
    """Where each chunk begins."""
    return [len(written(CONTENT[:number])) for number in range(len(CONTENT))]


def test_what_was_written_is_read() -> None:
    assert read(written()) == CONTENT


def test_a_file_that_ends_early_has_its_whole_chunks() -> None:
    packed = written()
    begins = starts()
    for length in range(begins[0], len(packed), 7):
        assert read(packed[:length]) == CONTENT[: sum(length >= begin for begin in begins[1:])]


def test_every_changed_byte_is_found() -> None:
    packed = written()
    for at in range(starts()[0], len(packed), 3):
        changed = packed[:at] + bytes([packed[at] ^ 1]) + packed[at + 1 :]
        try:
            left = read(changed)
        except ValueError:
            continue
        assert left == CONTENT[: len(left)] and len(left) < len(CONTENT), "a length that leads beyond the end looks like a cut"


def forged(kind: bytes, number: int, packed: bytes, size: int) -> bytes:
    """A chunk with a right checksum, whatever its contents are."""
    header = chunks._HEADER.pack(kind, number, len(packed), size)
    return header + chunks._CHECKSUM.pack(chunks._checksum(header, packed)) + packed


HEAD = written(CONTENT[:1])
END = forged(b"DONE", 1, zlib.compress(b""), 0)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(lambda: HEAD + forged(b"NEWS", 1, b"", 0), "no kind that this iolab knows", id="a kind of later"),
        pytest.param(lambda: HEAD + HEAD[18:], "in the place of chunk 1", id="a chunk twice"),
        pytest.param(lambda: HEAD + forged(b"HEAD", 1, zlib.compress(b"{}"), 2), "chunk 1 is of kind HEAD", id="two heads"),
        pytest.param(lambda: HEAD[:18] + forged(b"DONE", 0, zlib.compress(b""), 0), "chunk 0 is of kind END", id="no head"),
        pytest.param(lambda: HEAD + END + b"x", "bytes follow its end", id="more after the end"),
        pytest.param(lambda: HEAD + forged(b"RECS", 1, zlib.compress(bytes(9)), 8), "stated length", id="longer than stated"),
        pytest.param(lambda: HEAD + forged(b"RECS", 1, zlib.compress(bytes(9)), 10), "stated length", id="shorter than stated"),
        pytest.param(lambda: HEAD + forged(b"RECS", 1, zlib.compress(bytes(9)) + b"x", 9), "stated length", id="rest"),
        pytest.param(lambda: HEAD + forged(b"RECS", 1, zlib.compress(bytes(9))[:-4], 9), "stated length", id="no end"),
        pytest.param(lambda: HEAD + forged(b"RECS", 1, zlib.compress(b"x" * (5 << 20)), 5 << 20), "too large", id="too large"),
        pytest.param(lambda: HEAD + forged(b"RECS", 1, bytes(2000), 1), "too large", id="packed larger than unpacked"),
    ],
)
def test_what_no_writer_writes_is_refused(make: Callable[[], bytes], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read(make())


def test_a_payload_that_no_reader_takes_is_not_written() -> None:
    with pytest.raises(OSError, match="too large for a recording"):
        written([(ChunkKind.RECORDS, bytes(bounds.PIECE + 1))])


def test_a_chunk_is_in_the_file_at_once() -> None:
    raw = io.BytesIO()
    writer = chunks.Writer(io.BufferedWriter(raw, 1 << 20))
    for number, (kind, payload) in enumerate(CONTENT):
        writer.write(kind, payload)
        assert read(raw.getvalue()) == CONTENT[: number + 1]
