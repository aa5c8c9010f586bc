"""Damaged and hostile recordings: each is shown, or refused in one sentence, in bounded time and memory; no traceback."""

from __future__ import annotations

import copy
import io
import json
import os
import random
import resource
import struct
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from probes.errors import WrongUsage
from probes.kernel import records
from probes.recording import Recording, load
from reports import document
from reports.html import page as html
from reports.terminal import page
from runs.lab import measure_and_check
from runs.report import report
from tests.conftest import DATA

DAMAGES = int(os.environ.get("IOLAB_DAMAGES", "180"))
SEED = int(os.environ.get("IOLAB_DAMAGE_SEED", "1"))
SMALL = 20_000  # bytes of a file; larger ones take long, and hold no other kinds of records
FILES = sorted(path for path in [*DATA.glob("*.iolab"), *(DATA / "wrong").glob("*.iolab")] if path.stat().st_size < SMALL)
NONSENSE: tuple[Any, ...] = (
    None, True, "", "x", "\x1b[2J", "9" * 5000, -1, 0, 1, 2**31, 2**40, 2**63, 2**64, 10**30, -(2**63), 0.5, -1e300,
    [], {}, [[]], [None], {"x": 1}, [1, 2, 3], {"name": "x"},
)  # fmt: skip
WORDS = (0, 1, 2, 2**31 - 1, 2**32 - 1, 2**32, 2**40, 2**63 - 1, 2**63, 2**64 - 1)


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


def shown(path: Path) -> str:
    """All forms of the recording; "" if it was refused in words."""
    try:
        found = report(measure_and_check(load(path)))
        text = io.StringIO()
        page.write(found, text, with_stacks=True)
        document.write(found, text)
        html.write(found, text)
    except WrongUsage as error:
        assert error.problem and "\n" not in error.problem and len(error.problem) < 1000, error.problem
        return ""
    return text.getvalue()


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) in JSON data."""
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(inner, dict | list):
            yield from places(inner)


def damage_meta(chance: random.Random, meta: dict[str, Any], data: bytes) -> bytes:
    """One place of meta.json gets another value, goes, or comes twice. Few places are deep in lists of equal things."""
    part = chance.choice([meta, meta["context"], meta["context"], meta])
    container, key = chance.choice(list(places(part)) if chance.random() < 0.7 else [(part, key) for key in part])
    kind = chance.randrange(4)
    if kind == 0:
        del container[key]
    elif kind == 1 and isinstance(container, list):
        container.insert(key, container[key])
    elif kind == 2 and isinstance(container[key], int | float):
        container[key] = chance.choice((-container[key], container[key] * 2**20, 0, container[key] + 1))
    else:
        container[key] = copy.deepcopy(chance.choice(NONSENSE))
    return data


def damage_records(chance: random.Random, meta: dict[str, Any], data: bytes) -> bytes:
    """One to four places of the records change: a field, a byte, a record that is missing, doubled, moved, or cut off."""
    layouts = records.from_description(meta["layouts"])
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


def pack(path: Path, meta: dict[str, Any] | bytes, data: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("meta.json", meta if isinstance(meta, bytes) else json.dumps(meta))
        archive.writestr("records.bin", data)


def damaged(number: int, path: Path) -> str:
    """Writes the recording with damage `number`. Returns the damage in words."""
    chance = random.Random(SEED * 1_000_003 + number)
    source = chance.choice(FILES)
    how = number % 7
    if how == 0:
        path.write_bytes(damage_file(chance, source.read_bytes()))
        return f"{source.name}: the file"
    with zipfile.ZipFile(source) as archive:
        meta, data = json.loads(archive.read("meta.json")), archive.read("records.bin")
    if how < 4:
        data = damage_meta(chance, meta, data)
    else:
        meta |= {"layouts": records.describe(load(source).layouts)}  # with the names of today
        data = damage_records(chance, meta, data)
        meta["bytes"] = len(data)
    pack(path, meta, data)
    return f"{source.name}: {'meta.json' if how < 4 else 'records'}"


@pytest.mark.parametrize("part", range(6))
def test_random_damages_end_in_a_report_or_in_words(part: int, tmp_path: Path) -> None:
    path = tmp_path / "one.iolab"
    for number in range(part, DAMAGES, 6):
        what = damaged(number, path)
        begin = time.process_time()
        try:
            with memory(2 << 30):
                shown(path)
        except Exception as error:
            raise AssertionError(f"damage {number} (seed {SEED}), {what}: {error!r}") from error
        assert time.process_time() - begin < 5, f"damage {number} (seed {SEED}), {what}, takes long"


def _original() -> tuple[dict[str, Any], bytes]:
    with zipfile.ZipFile(DATA / "blocking.iolab") as archive:
        return json.loads(archive.read("meta.json")), archive.read("records.bin")


def _layout_of(length: int) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        meta, data = _original()
        meta["layouts"]["CALL"].append(["more", "u64", length])
        pack(path, meta, data)

    return write


def _bomb(path: Path) -> None:
    pack(path, _original()[0] | {"bytes": 256 << 20}, bytes(256 << 20))


def _json(text: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        meta, data = _original()
        pack(path, json.dumps(meta | {"seen": "HERE"}).replace('"HERE"', text).encode(), data)

    return write


def _twice(path: Path) -> None:
    meta, data = _original()
    pack(path, meta, data)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("records.bin", data)


def _other_packing(path: Path) -> None:
    meta, data = _original()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("meta.json", json.dumps(meta))
        archive.writestr("records.bin", data)


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(_layout_of(2**40), id="a field of 8 TB"),
        pytest.param(_layout_of(-1), id="a field of no length"),
        pytest.param(_bomb, id="zip bomb"),
        pytest.param(_json("NaN"), id="NaN"),
        pytest.param(_json("1e999"), id="infinity"),
        pytest.param(_json("9" * 5000), id="a number of 5,000 digits"),
        pytest.param(_json("[" * 100_000 + "]" * 100_000), id="nested deeply"),
        pytest.param(_json('1, "seen": 2'), id="a key twice"),
        pytest.param(_twice, id="a member twice"),
        pytest.param(_other_packing, id="another packing"),
    ],
)
def test_hostile_contents_are_refused_in_words(write: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "one.iolab"
    write(path)
    with memory(1 << 30), pytest.raises(WrongUsage, match="not a whole iolab recording"):
        load(path)


def test_the_shipped_recordings_are_not_refused() -> None:
    assert all(shown(path) for path in FILES), "else the damages above would prove nothing"
    assert isinstance(load(FILES[0]), Recording)
