"""Damaged recordings, each the same again from its number and a seed: in the file, its chunks, its JSON texts, its records.

tests/test_hostile_recordings.py shows some of them in every run, tests/fuzz_recordings.py as many as there is time for.
"""

from __future__ import annotations

import copy
import functools
import importlib.util
import io
import json
import random
import re
import resource
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from probes import chunks
from probes.chunks import ChunkKind
from probes.errors import WrongUsage
from probes.kernel import descriptions
from probes.recording import Head, Writer, load
from reports import document
from reports.export import flame, perfetto, sqlite, tables
from reports.html import page as html
from reports.terminal import page
from runs.lab import measure_and_check
from runs.report import Report, report
from tests.conftest import DATA

SMALL = 20_000  # bytes of a file; larger ones take long, and hold no other kinds of records
FILES = sorted(path for path in [*DATA.glob("*.iolab"), *(DATA / "wrong").glob("*.iolab")] if path.stat().st_size < SMALL)
_SUMS = DATA / "budget.iolab"  # of all files, only this one has sums and few details
KEPT = DATA.parent / "hostile"  # files that once did harm
NONSENSE: tuple[Any, ...] = (
    None, True, "", "x", "\x1b[2J", "\x9b31m", "\ud800", "a\nb", "9" * 5000, -1, 0, 1, 2**31, 2**40, 2**63, 2**64, 10**30,
    -(2**63), 0.5, -1e300, [], {}, [[]], [None], {"x": 1}, [1, 2, 3], {"name": "x"},
)  # fmt: skip
WORDS = (0, 1, 2, 2**31 - 1, 2**32 - 1, 2**32, 2**40, 2**63 - 1, 2**63, 2**64 - 1)
_CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

Chunk = tuple[bytes, bytes]  # kind and payload


@contextmanager
def memory(more: int) -> Iterator[None]:
    """Within, this process may take so many more bytes."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _export(found: Report, text: IO[str]) -> None:
    """The files for other programs, but for the trace for Perfetto, which needs an extra."""
    sqlite.write(tables.tables(found), io.BytesIO())
    flame.write_folded(found, text)
    flame.write_speedscope(found, text)
    if importlib.util.find_spec("perfetto"):
        perfetto.write(found, io.BytesIO())


FORMS: tuple[Callable[[Report, IO[str]], None], ...] = (
    lambda found, text: page.write(found, text, with_stacks=True),
    document.write,
    html.write,
    _export,
)


def shown(path: Path, forms: Sequence[Callable[[Report, IO[str]], None]] = FORMS) -> str:
    """The recording in these forms; "" if it was refused in words."""
    try:
        found = report(measure_and_check(load(path)))
        text = io.StringIO()
        for write in forms:
            write(found, text)
    except WrongUsage as error:
        assert error.problem and "\n" not in error.problem and len(error.problem) < 1000, error.problem
        return ""
    control = _CONTROLS.search(text.getvalue())
    assert not control, f"{control} is in the report"
    return text.getvalue()


# The file


def frame(parts: list[Chunk], numbers: list[int] | None = None, level: int = 1) -> bytes:
    """Chunks with right checksums, whatever is in them."""
    text = [chunks.MAGIC + b"%d\n" % chunks.FORMAT]
    for number, (kind, payload) in enumerate(parts):
        packed = zlib.compress(payload, level)
        header = struct.pack("<4sIII", kind, numbers[number] if numbers else number, len(packed), len(payload))
        text.append(header + struct.pack("<I", zlib.crc32(packed, zlib.crc32(header))) + packed)
    return b"".join(text)


@functools.cache
def _parts(source: Path) -> tuple[Chunk, ...]:
    """A real recording as chunks, its records in four of them."""
    recording, file = load(source), io.BytesIO()
    writer = Writer(file, Head(recording.machine, recording.probes, recording.context, recording.layouts))
    sizes = {int(kind): layout.codec.size for kind, layout in recording.layouts.items()}
    writer.stacks(recording.stacks)
    at = since = 0
    while at < len(recording.data):
        at += sizes[recording.data[at]]
        if at - since > len(recording.data) // 4 or at == len(recording.data):
            writer.records(recording.data[since:at])
            writer.flush()
            since = at
    writer.finish(recording)
    file.seek(len(frame([])))
    return tuple((kind.value, payload) for kind, payload in chunks.read(file))


def parts_of(source: Path) -> list[Chunk]:
    return list(_parts(source))


def pack_zip(path: Path, meta: dict[str, Any] | bytes, data: bytes) -> None:
    """A file of format 1."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("meta.json", meta if isinstance(meta, bytes) else json.dumps(meta))
        archive.writestr("records.bin", data)


def unpack_zip(path: Path) -> tuple[dict[str, Any], bytes]:
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("meta.json")), archive.read("records.bin")


# The damages


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) in JSON data."""
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(inner, dict | list):
            yield from places(inner)


def damage_json(chance: random.Random, part: dict[str, Any]) -> None:
    """One place gets another value, goes, or comes twice. Few places are deep in lists of equal things."""
    deep = chance.random() < 0.7
    container, key = chance.choice(list(places(part)) if deep else [(part, key) for key in part])
    kind = chance.randrange(4)
    if kind == 0:
        del container[key]
    elif kind == 1 and isinstance(container, list):
        container.insert(key, container[key])
    elif kind == 2 and isinstance(container[key], int | float):
        container[key] = chance.choice((-container[key], container[key] * 2**20, 0, container[key] + 1))
    else:
        container[key] = copy.deepcopy(chance.choice(NONSENSE))


def damage_records(chance: random.Random, layouts: Any, data: bytes) -> bytes:
    """One to four places of the records change: a field, a byte, a record that is missing, doubled, moved, or cut off."""
    sizes = {int(kind): layout.codec.size for kind, layout in layouts.items()}
    changed = bytearray(data)
    starts, at = [], 0
    while at < len(data):
        starts.append(at)
        at += sizes[data[at]]
    for _ in range(chance.randint(1, 4)):
        start = chance.choice(starts)
        size = sizes[data[start]]
        kind = chance.randrange(8)
        if kind < 5:
            place = start + 8 * chance.randrange(size // 8)
            struct.pack_into("<Q", changed, place, chance.choice((*WORDS, chance.getrandbits(64), chance.randrange(2**20))))
        elif kind == 5:
            changed[start + chance.randrange(size)] = chance.randrange(256)
        else:
            other = chance.choice(starts)
            record = bytes(changed[other : other + sizes[data[other]]])
            changed = changed[:start] + (record if kind == 6 else b"") + changed[start + size * chance.randrange(2) :]
            break
    return bytes(changed)


def damage_file(chance: random.Random, packed: bytes) -> bytes:
    """The file itself: bytes changed, cut, or repeated."""
    changed, at = bytearray(packed), chance.randrange(len(packed))
    kind = chance.randrange(4)
    if kind == 0:
        return packed[:at]
    if kind == 1:
        return packed[at:]
    if kind == 2:
        return packed[:at] + packed[at // 2 :]
    for _ in range(chance.randint(1, 8)):
        changed[chance.randrange(len(packed))] = chance.randrange(256)
    return bytes(changed)


def damage_chunks(chance: random.Random, parts: list[Chunk]) -> bytes:
    """Chunks that are missing, doubled, moved, of another kind, or of nonsense, with numbers that hide this or do not."""
    at, other = chance.randrange(len(parts)), chance.randrange(len(parts))
    kind = chance.randrange(7)
    if kind == 0:
        del parts[at]
    elif kind == 1:
        parts.insert(at, parts[other])
    elif kind == 2:
        parts[at], parts[other] = parts[other], parts[at]
    elif kind == 3:
        parts[at] = (chance.choice([*(kind.value for kind in ChunkKind), b"NEWS"]), parts[at][1])
    elif kind == 4:
        parts[at] = (parts[at][0], chance.choice((b"", b"[]", b"{}", b"null", b"\xff\xfe", b"\0" * 8, chance.randbytes(40))))
    elif kind == 5:
        parts[at] = (parts[at][0], damage_file(chance, parts[at][1] or b"x"))
    else:
        parts = parts[: at + 1]
    return frame(parts, None if chance.random() < 0.8 else sorted(chance.choices(range(9), k=len(parts))))


def _damaged_chunk_file(chance: random.Random, source: Path, how: int) -> tuple[str, bytes]:
    parts = parts_of(source)
    if how == 0:
        return "the file", damage_file(chance, frame(parts))
    if how == 1:
        return "the chunks", damage_chunks(chance, parts)
    if how < 4:
        at = chance.choice([at for at, (kind, _payload) in enumerate(parts) if kind != b"RECS"])
        content = json.loads(parts[at][1])
        damage_json(chance, content["context"] if chance.random() < 0.5 and "context" in content else content)
        parts[at] = (parts[at][0], json.dumps(content).encode())
        return f"JSON of {parts[at][0].decode()}", frame(parts)
    at = chance.choice([at for at, (kind, _payload) in enumerate(parts) if kind == b"RECS"])
    parts[at] = (b"RECS", damage_records(chance, load(source).layouts, parts[at][1]))
    end = json.loads(parts[-1][1])
    end["bytes"] = sum(len(payload) for kind, payload in parts if kind == b"RECS")
    parts[-1] = (parts[-1][0], json.dumps(end).encode())
    return "records", frame(parts[: len(parts) - chance.randrange(2)])


def _damaged_zip_file(chance: random.Random, source: Path, how: int, path: Path) -> str:
    if how == 0:
        path.write_bytes(damage_file(chance, source.read_bytes()))
        return "the zip"
    meta, data = unpack_zip(source)
    if how < 4:
        damage_json(chance, meta["context"] if chance.random() < 0.5 else meta)
    else:
        layouts = load(source).layouts
        meta |= {"layouts": descriptions.describe(layouts)}  # with the names of today
        data = damage_records(chance, layouts, data)
        meta["bytes"] = len(data)
    pack_zip(path, meta, data)
    return "meta.json" if how < 4 else "records of the zip"


def damaged(number: int, seed: int, path: Path) -> str:
    """Writes the recording with damage `number`. Returns the damage in words."""
    chance = random.Random(seed * 1_000_003 + number)
    source = chance.choice(FILES) if number % 4 else _SUMS
    if number % 3 == 0 and zipfile.is_zipfile(source):
        return f"{source.name}: {_damaged_zip_file(chance, source, number % 7, path)}"
    words, text = _damaged_chunk_file(chance, source, number % 7)
    path.write_bytes(text)
    return f"{source.name}: {words}"
