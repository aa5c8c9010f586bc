"""Damaged and hostile recordings: each is shown, or refused in one sentence, in bounded time and memory; no traceback."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from probes import bounds
from probes.errors import WrongUsage
from probes.kernel import descriptions, records
from probes.kernel.records import Kind
from probes.recording import load
from runs.report import Report
from tests.conftest import COMMAND, DATA
from tests.damage import FILES, FORMS, KEPT, Chunk, damaged, frame, memory, pack_zip, parts_of, shown, unpack_zip
from tests.probes.measure.streams import record

DAMAGES = int(os.environ.get("IOLAB_DAMAGES", "90"))
SEED = int(os.environ.get("IOLAB_DAMAGE_SEED", "1"))


@pytest.mark.parametrize("part", range(6))
def test_random_damages_end_in_a_report_or_in_words(part: int, tmp_path: Path) -> None:
    path = tmp_path / "one.iolab"
    for number in range(part, DAMAGES, 6):
        what = damaged(number, SEED, path)
        begin = time.process_time()
        try:
            with memory(1 << 30):
                shown(path, [FORMS[number % len(FORMS)]])
        except Exception as error:
            raise AssertionError(f"damage {number} (seed {SEED}), {what}: {error!r}") from error
        assert time.process_time() - begin < 5, f"damage {number} (seed {SEED}), {what}, takes long"


@pytest.mark.parametrize("path", sorted(KEPT.glob("*.iolab")), ids=lambda path: path.stem)
def test_files_that_once_did_harm_end_in_a_report_or_in_words(path: Path) -> None:
    with memory(1 << 30):
        shown(path)


def test_the_shipped_recordings_are_not_refused() -> None:
    assert all(shown(path, [_mark]) for path in FILES), "else the damages above would prove nothing"


def _mark(_report: Report, text: IO[str]) -> None:
    text.write("shown")


# Both formats: one thing is hostile, and all the rest is as it was

BLOCKING = DATA / "blocking.iolab"


def _with(change: Callable[[dict[str, Any]], None]) -> Iterator[Callable[[Path], None]]:
    """The recording with other JSON data, as a zip and as chunks (all of the data is in HEAD, END, or the stacks)."""

    def write_zip(path: Path) -> None:
        meta, data = unpack_zip(BLOCKING)
        change(meta)
        pack_zip(path, meta, data)

    def write_chunks(path: Path) -> None:
        parts = parts_of(BLOCKING)
        meta: dict[str, Any] = {}
        for kind, payload in parts:
            if kind in (b"HEAD", b"DONE"):
                meta |= json.loads(payload)
        change(meta)
        parts[0], parts[-1] = (b"HEAD", json.dumps(meta).encode()), (b"DONE", b"{}")
        path.write_bytes(frame(parts))

    yield write_zip
    yield write_chunks


def _longer_field(length: int) -> Callable[[dict[str, Any]], None]:
    return lambda meta: meta["layouts"]["CALL"].append(["more", "u64", length])


@pytest.mark.parametrize("format_", [0, 1], ids=["zip", "chunks"])
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(_longer_field(2**40), id="a field of 8 TB"),
        pytest.param(_longer_field(-1), id="a field of no length"),
        pytest.param(lambda meta: meta["layouts"].pop("CALL"), id="no layout"),
        pytest.param(lambda meta: meta.update(seen=-1), id="a negative count"),
        pytest.param(lambda meta: meta.update(end=2**64), id="a time that no clock has"),
        pytest.param(lambda meta: meta["losses"].update(CUT=-1), id="a negative loss"),
        pytest.param(lambda meta: meta["machine"].update(arch="pdp11"), id="an unknown processor"),
        pytest.param(lambda meta: meta.update(bytes=meta["bytes"] + 1), id="records are missing"),
        pytest.param(lambda meta: meta.update(probes=[]), id="no probes"),
        pytest.param(lambda meta: meta.update(context={"lab": "x" * 200}), id="a lab without a name"),
        pytest.param(lambda meta: meta.update(context={"command": ["x" * (2 << 20)]}), id="a word of 2 MB"),
    ],
)
def test_hostile_values_are_refused_in_words(change: Callable[[dict[str, Any]], None], format_: int, tmp_path: Path) -> None:
    path = tmp_path / "one.iolab"
    list(_with(change))[format_](path)
    _is_refused(path)


def _is_refused(path: Path) -> None:
    begin = time.process_time()
    with memory(1 << 30), pytest.raises(WrongUsage, match="not a whole iolab recording") as refusal:
        load(path)
    assert time.process_time() - begin < 5
    assert "\n" not in refusal.value.problem and len(refusal.value.problem) < 500 + len(str(path))


# JSON


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b'{"seen": NaN}', id="NaN"),
        pytest.param(b'{"format": 1, "seen": 1e999}', id="infinity"),
        pytest.param(b'{"seen": %s}' % (b"9" * 5000), id="a number of 5,000 digits"),
        pytest.param(b"[" * 100_000 + b"]" * 100_000, id="nested deeply"),
        pytest.param(b'{"x":' * 100_000 + b"1" + b"}" * 100_000, id="objects nested deeply"),
        pytest.param(b'{"seen": 1, "seen": 2}', id="a key twice"),
        pytest.param(b"\xff\xfe\x00", id="not UTF-8"),
        pytest.param(b'{"seen": "\xc3("}', id="not UTF-8 in a text"),
        pytest.param(b"null", id="null"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"[" + b"[]," * (1 << 20) + b"[]]", id="a million lists"),
    ],
)
@pytest.mark.parametrize("place", ["meta.json", "HEAD", "STAK", "DONE"])
def test_hostile_json_is_refused_in_words(text: bytes, place: str, tmp_path: Path) -> None:
    path = tmp_path / "one.iolab"
    if place == "meta.json":
        pack_zip(path, text, unpack_zip(BLOCKING)[1])
    else:
        path.write_bytes(frame([(kind, text if kind == place.encode() else payload) for kind, payload in parts_of(BLOCKING)]))
    _is_refused(path)


def test_json_texts_keep_to_their_bounds_together(tmp_path: Path) -> None:
    path, text = tmp_path / "one.iolab", b'{"1": [' + b'"",' * ((1 << 20) - 3) + b'""]}'
    path.write_bytes(frame([parts_of(BLOCKING)[0], *[(b"STAK", text)] * 9]))
    _is_refused(path)


# Records


def _records(*some: Any) -> bytes:
    return b"".join(map(records.encode, some))


def _whole(data: list[bytes], level: int = 1) -> bytes:
    """A file with these records, in chunks, and an end that agrees with them."""
    parts = parts_of(DATA / "trace.iolab")
    head = json.loads(parts[0][1]) | {"layouts": descriptions.describe(records.LAYOUTS)}
    end = {"losses": {}, "seen": 1, "end": 10**9, "bytes": sum(map(len, data))}
    return frame(
        [(b"HEAD", json.dumps(head).encode()), *((b"RECS", piece) for piece in data), (b"DONE", json.dumps(end).encode())]
    )


ONE = _records(record(Kind.THREAD, start=1, comm="x"), record(Kind.CALL, enter=2, exit=3), record(Kind.EXIT, end=5, calls=1))


def test_bombs_are_refused(tmp_path: Path) -> None:
    data, path = [bytes(bounds.PIECE)] * 10, tmp_path / "one.iolab"
    path.write_bytes(_whole(data, 9))
    assert path.stat().st_size < 1 << 19
    _is_refused(path)
    pack_zip(path, unpack_zip(BLOCKING)[0] | {"bytes": sum(map(len, data))}, b"".join(data))
    _is_refused(path)


def test_tiny_chunks_are_read_in_bounded_time(tmp_path: Path) -> None:
    path = tmp_path / "one.iolab"
    path.write_bytes(_whole([ONE] + [b""] * 20_000))
    begin = time.process_time()
    with memory(1 << 30):
        assert load(path).data == ONE
    assert time.process_time() - begin < 2


def test_too_many_chunks_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "one.iolab"
    path.write_bytes(_whole([ONE] * 20))
    assert shown(path)
    monkeypatch.setattr("probes.bounds.CHUNKS", 20)
    _is_refused(path)


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param(lambda head, data, end: [data, head, end], id="the head comes later"),
        pytest.param(lambda head, data, end: [head, end, data], id="the end comes earlier"),
        pytest.param(lambda head, data, end: [head, head, data, end], id="two heads"),
        pytest.param(lambda head, data, end: [head, data, data, end], id="records twice"),
        pytest.param(lambda head, data, end: [head, end], id="no records"),
        pytest.param(lambda head, data, end: [data], id="records alone"),
        pytest.param(lambda head, data, end: [end], id="an end alone"),
        pytest.param(lambda head, data, end: [head], id="a head alone"),
        pytest.param(lambda head, data, end: [], id="no chunk"),
    ],
)
def test_chunks_in_another_order_are_refused(parts: Callable[[Chunk, Chunk, Chunk], list[Chunk]], tmp_path: Path) -> None:
    every = parts_of(BLOCKING)
    data = (b"RECS", b"".join(payload for kind, payload in every if kind == b"RECS"))
    path = tmp_path / "one.iolab"
    path.write_bytes(frame([every[0], data, every[-1]]))
    assert shown(path)
    path.write_bytes(frame(parts(every[0], data, every[-1])))
    _is_refused(path)


# Zip files


def _twice(path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("records.bin", b"x")


def _many_members(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        for number in range(1000):
            archive.writestr(str(number), b"")


def _other_packing(path: Path) -> None:
    meta, data = unpack_zip(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("meta.json", json.dumps(meta))
        archive.writestr("records.bin", data)


def _false_size(path: Path) -> None:
    """The directory states a smaller size than the member has."""
    changed = bytearray(path.read_bytes())
    entry = changed.rindex(b"PK\x01\x02")
    struct.pack_into("<L", changed, entry + 24, 100)
    path.write_bytes(changed)


def _encrypted(path: Path) -> None:
    changed = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        changed[changed.rindex(signature) + offset] |= 1
    path.write_bytes(changed)


@pytest.mark.parametrize("change", [_twice, _many_members, _other_packing, _false_size, _encrypted])
def test_zip_files_that_no_iolab_wrote_are_refused(change: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "one.iolab"
    shutil.copy(BLOCKING, path)
    change(path)
    _is_refused(path)


# What is no regular file


def test_a_recording_comes_through_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "one.iolab"
    load(BLOCKING).save(str(path))
    line = [*COMMAND, "show", "/dev/stdin"]
    piped = subprocess.run(line, input=path.read_bytes(), capture_output=True)
    assert piped.returncode == 0 and b"quality of this measurement" in piped.stdout
    piped = subprocess.run(line, input=BLOCKING.read_bytes(), capture_output=True)
    assert piped.returncode == 2 and len(piped.stderr.splitlines()) == 2


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/", "/proc/self/mem", sys.executable])
def test_what_is_no_recording_is_refused(path: str) -> None:
    with memory(1 << 30), pytest.raises(WrongUsage, match=r"not a whole iolab recording|can't read"):
        load(Path(path))


# Texts


EVIL = "\x1b[2J\x9b31m\u202e\r\n<script>\u2028&|`\ud800\x00"
FIXED = ("lab", "arch", "quality")  # another value is refused


def _evil(value: Any, key: str = "") -> Any:
    """The same data with control characters in all its texts."""
    if isinstance(value, dict):
        return {name: inner if name in FIXED else _evil(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [_evil(inner) for inner in value]
    return value[:4] + EVIL + value[4:] if isinstance(value, str) else value


@pytest.mark.parametrize("name", ["trace", "epoll", "silent_client", "terms", "processes", "io_uring", "budget"])
def test_control_characters_in_texts_reach_no_report(name: str, tmp_path: Path) -> None:
    parts, path = parts_of(DATA / f"{name}.iolab"), tmp_path / "one.iolab"
    layouts = descriptions.from_description(json.loads(parts[0][1])["layouts"])
    for number, (kind, payload) in enumerate(parts):
        if kind == b"RECS":
            parts[number] = (kind, b"".join(_evil_record(each, layouts) for each in records.decode(payload, layouts)))
            continue
        content = json.loads(payload)
        layouts_ = {"layouts": content["layouts"]} if "layouts" in content else {}
        changed = _evil(content) | layouts_
        for probe, real in zip(changed.get("probes", []), content.get("probes", []), strict=True):
            probe["name"] = real["name"]  # the names of probes decide what is known
        parts[number] = (kind, json.dumps(changed).encode())
    path.write_bytes(frame(parts))
    assert shown(path)


def _evil_record(each: Any, layouts: Any) -> bytes:
    texts = {name: "a\x1b[2J\x9b\r\n<b>" for name, ctype, _length in layouts[Kind(each.kind)].fields if ctype == "char"}
    return records.encode(each._replace(**texts), layouts)
