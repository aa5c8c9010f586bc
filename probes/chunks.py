"""The frame of a recording's file: a line that names the format, then chunks.

A chunk is a header of 20 bytes (kind, number in the file, packed length, unpacked length, checksum) and a payload, packed by
zlib. The first chunk is HEAD, the last one END. A file without END was cut off: its writer died, or a copy is not complete.
The chunks before the cut are whole, since each of them has its own checksum.

The checksum finds accidents. It does not find an attack, so a reader checks what a chunk contains as if there was no checksum.
"""

from __future__ import annotations

import enum
import errno
import struct
import zlib
from collections.abc import Iterator
from typing import IO

from probes import bounds

MAGIC = b"iolab recording "  # then the number of the format, and a newline
FORMAT = 2
_LEVEL = 3  # of zlib: packs records as well as level 6, in less than half of the time (6:1, 160 MB/s)
_HEADER = struct.Struct("<4sIII")
_CHECKSUM = struct.Struct("<I")


class ChunkKind(enum.Enum):
    """What a chunk contains."""

    HEAD = b"HEAD"  # JSON: what is known when the recording begins
    RECORDS = b"RECS"  # packed records, all of them whole
    SUMS = b"SUMS"  # all rows of sums at one moment, or a part of them (recording.py); only the last of them counts, if at all
    STACKS = b"STAK"  # JSON: the kernel functions of stacks, by number
    END = b"DONE"  # JSON: what is known when the recording has ended


_LARGEST = {
    ChunkKind.HEAD: bounds.HEAD,
    ChunkKind.RECORDS: bounds.PIECE,
    ChunkKind.STACKS: bounds.PIECE,
    ChunkKind.SUMS: bounds.PIECE,
    ChunkKind.END: bounds.JSON,
}


class Writer:
    """Writes the line and the chunks. `write` puts a chunk into the file, so that it is there if this process dies."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.number = file, 0
        file.write(MAGIC + b"%d\n" % FORMAT)

    def write(self, kind: ChunkKind, payload: bytes) -> None:
        """Writes one chunk. Raises OSError (EFBIG) for what no reader would take."""
        if len(payload) > _LARGEST[kind] or self.number >= bounds.CHUNKS:
            raise OSError(errno.EFBIG, f"it is too large for a recording ({kind.name.lower()})")
        packed = zlib.compress(payload, _LEVEL)
        header = _HEADER.pack(kind.value, self.number, len(packed), len(payload))
        self._file.write(header + _CHECKSUM.pack(_checksum(header, packed)) + packed)
        self._file.flush()
        self.number += 1


def read(file: IO[bytes]) -> Iterator[tuple[ChunkKind, bytes]]:
    """The chunks after the line, in their order, until the last whole one. Raises ValueError for damage."""
    packed_total = total = sums = 0
    for number in range(bounds.CHUNKS):
        found = _read_chunk(file, number)
        if found is None:
            return
        kind, packed, payload = found
        if kind is ChunkKind.SUMS:
            sums += len(payload)
        else:
            packed_total, total = packed_total + packed, total + len(payload)
        if total > bounds.RECORDS or sums > bounds.ALL_SUMS or bounds.too_dense(total, packed_total):
            raise ValueError("its records are too large")
        if (kind is ChunkKind.HEAD) != (number == 0):
            raise ValueError(f"chunk {number} is of kind {kind.name}")
        yield kind, payload
        if kind is ChunkKind.END:
            if file.read(1):
                raise ValueError("bytes follow its end")
            return
    raise ValueError(f"it has more than {bounds.CHUNKS:,} chunks")


def _read_chunk(file: IO[bytes], number: int) -> tuple[ChunkKind, int, bytes] | None:
    """The next chunk, with its packed length. None if the file ends before the chunk does."""
    header, checksum = file.read(_HEADER.size), file.read(_CHECKSUM.size)
    if len(checksum) < _CHECKSUM.size:
        return None
    name, stated, packed_size, size = _HEADER.unpack(header)
    try:
        kind = ChunkKind(name)
    except ValueError:
        raise ValueError(f"chunk {number} is of no kind that this iolab knows") from None
    if stated != number:
        raise ValueError(f"chunk {stated} stands in the place of chunk {number}")
    if size > _LARGEST[kind] or packed_size > _most_packed(size):
        raise ValueError(f"chunk {number} is too large")
    packed = file.read(packed_size)
    if len(packed) < packed_size:
        return None
    if _checksum(header, packed) != _CHECKSUM.unpack(checksum)[0]:
        raise ValueError(f"the checksum of chunk {number} is wrong")
    return kind, packed_size, _unpacked(packed, size, number)


def _most_packed(size: int) -> int:
    """Bytes that zlib makes of so many at most: data that can't be packed is stored, in blocks (zlib.h: compressBound)."""
    return size + size // 1000 + 64


def _unpacked(packed: bytes, size: int, number: int) -> bytes:
    """The payload, in bounded memory: zlib stops at the stated size."""
    unpacker = zlib.decompressobj()
    payload = unpacker.decompress(packed, size + 1)
    if len(payload) != size or not unpacker.eof or unpacker.unused_data:
        raise ValueError(f"chunk {number} does not have its stated length")
    return payload


def _checksum(header: bytes, packed: bytes) -> int:
    return zlib.crc32(packed, zlib.crc32(header))
