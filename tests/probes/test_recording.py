"""A recording keeps its data, contains no kernel address, can be cut off, and is refused when damaged."""

from __future__ import annotations

import dataclasses
import errno
import io
import os
import re
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pytest

from probes import chunks
from probes.chunks import ChunkKind
from probes.context import TraceRun
from probes.errors import WrongUsage
from probes.kernel import records
from probes.kernel.records import Kind
from probes.measure.measure import measure
from probes.recording import Head, Recording, Writer, load
from reports import losses
from tests.conftest import ROOT, recording_of
from tests.probes.measure.streams import record, recording, summed


def test_save_and_load_give_the_same(tmp_path: Path) -> None:
    made = recording([record(Kind.THREAD, start=1, comm="x"), record(Kind.EXIT, end=2)])
    made.save(str(tmp_path / "one.iolab"))
    again = load(tmp_path / "one.iolab")
    assert again.data == made.data
    assert again == made
    assert [path.name for path in tmp_path.iterdir()] == ["one.iolab"]


@pytest.mark.parametrize("name", ["epoll", "silent_client", "terms", "trace"])
def test_a_real_recording_is_the_same_after_it_was_saved_again(name: str, tmp_path: Path) -> None:
    real = recording_of(name)
    assert any(probe.attached is None for probe in real.probes), "what is not known is kept, too"
    real.save(str(tmp_path / "again.iolab"))
    assert load(tmp_path / "again.iolab") == real


@pytest.mark.parametrize("name", ["blocking", "epoll"])
def test_a_real_recording_tells_no_kernel_address(name: str) -> None:
    recording = load(Path(__file__).parents[1] / "data" / f"{name}.iolab")
    for found in records.decode(recording.data, recording.layouts):
        if found.kind == Kind.SLEEP:
            assert found.stack < 1000 and found.waker_stack < 1000
        if found.kind == Kind.CALL:
            assert found.socket < 1000
    assert not re.search("ffff[0-9a-f]{12}", str(dataclasses.replace(recording, data=b"")))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.unlink(), "No such file"),
        (lambda path: path.write_bytes(b""), "not a whole iolab recording"),
        (lambda path: path.write_bytes(b"PK nonsense"), "not a whole iolab recording"),
        (lambda path: path.write_bytes(path.read_bytes()[:100]), "cut off before its first records"),
        (lambda path: path.write_bytes(path.read_bytes() + b"x"), "bytes follow its end"),
        (lambda path: path.write_bytes(b"iolab recording 2\n"), "cut off before its first records"),
        (lambda path: zipfile.ZipFile(path, "w").writestr("meta.json", "{}"), "another format"),
        (lambda path: path.write_bytes(b"iolab recording 33\n"), "another format .33. than this iolab reads .1 and 2."),
    ],
)
def test_a_damaged_file_is_refused_in_words(tmp_path: Path, damage: Callable[[Path], None], words: str) -> None:
    path = tmp_path / "one.iolab"
    recording([record(Kind.THREAD, start=1)]).save(str(path))
    damage(path)
    with pytest.raises(WrongUsage, match=words):
        load(path)


# A file that grows while the program runs


def stream(times: int = 1) -> list[Any]:
    """The records of one thread's life, the calls in the middle repeated."""
    calls = [record(Kind.CALL, enter=at, exit=at + 1) for at in range(10, 10 + 3 * times, 3)]
    return [record(Kind.THREAD, start=1), *calls, record(Kind.EXIT, end=10**6, calls=len(calls))]


def writer_of(made: Recording, file: IO[bytes]) -> Writer:
    return Writer(file, Head(made.machine, made.probes, TraceRun(command=("ls",))))


def test_pieces_give_the_same_as_the_whole(tmp_path: Path) -> None:
    made, path = recording(stream(5)), tmp_path / "one.iolab"
    with path.open("wb") as file:
        writer = writer_of(made, file)
        for each in summed(stream(5)):
            writer.records(records.encode(each))
            writer.flush()
        writer.stacks(made.stacks)
        writer.finish(made)
    assert load(path) == made


def test_a_long_recording_has_pieces_of_whole_records(tmp_path: Path) -> None:
    made, path = recording(stream(20_000)), tmp_path / "one.iolab"
    made.save(str(path))
    assert load(path) == made
    with path.open("rb") as file:
        file.readline()
        pieces = [payload for kind, payload in chunks.read(file) if kind is ChunkKind.RECORDS]
    assert len(pieces) > 3 and sum(len(list(records.decode(piece))) for piece in pieces) == 20_002


def test_a_file_without_an_end_has_what_came_until_then(tmp_path: Path) -> None:
    made, path = recording(stream(3)), tmp_path / "one.iolab"
    with path.open("wb") as file:
        writer = writer_of(made, file)
        writer.stacks(made.stacks)
        writer.records(b"".join(map(records.encode, stream(3)[:3])))
        writer.flush()
        writer.records(b"".join(map(records.encode, stream(3)[3:])))
    cut = load(path)
    assert list(records.decode(cut.data)) == stream(3)[:3]
    assert (cut.losses, cut.seen, cut.end) == ({"CUT": 1}, 3, 14)
    assert cut.stacks == made.stacks and cut.context == TraceRun(command=("ls",))
    found = measure(cut)
    assert not found.events.sound and found.events.reasons["cut"] == 1
    assert any("cut off" in sentence for sentence in losses.notes(found.events))
    assert "less load" not in losses.remedy(found.events)


def test_sums_until_a_moment_count_only_in_a_file_without_an_end(tmp_path: Path) -> None:
    made, path = recording(stream(3)), tmp_path / "one.iolab"
    rows = [b"".join(records.encode(record(Kind.SUM, nr=1, count=count)) for _ in range(3)) for count in (1, 2)]
    with path.open("wb") as file:
        writer = writer_of(made, file)
        writer.stacks(made.stacks)
        writer.records(made.data)
        for at, sums in enumerate(rows, 1):
            writer.sums(sums, 0, at * 1_000_000_000)
        begin = file.tell()
        writer.finish(made)
    assert load(path) == made
    path.write_bytes(path.read_bytes()[:begin])
    cut = load(path)
    assert cut.data == made.data + rows[1] and cut.losses == {"CUT": 1, "SUMMED_MS": 2000}
    (sentence,) = losses.notes(measure(cut).events)
    assert "cut off" in sentence and "first 2.0 s" in sentence


def test_a_writer_that_is_killed_leaves_a_recording(tmp_path: Path) -> None:
    path = tmp_path / "one.iolab"
    code = (
        "import os, signal, sys\n"
        "from tests.probes.test_recording import *\n"
        "made = recording(stream(3))\n"
        "with Writer.open(sys.argv[1], Head(made.machine, made.probes, TraceRun())) as writer:\n"
        "    writer.records(made.data); writer.flush(); writer.records(made.data)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT)
    assert done.returncode == -signal.SIGKILL
    cut = load(path)
    assert cut.data == recording(stream(3)).data and cut.losses == {"CUT": 1}


def test_a_quiet_run_is_in_the_file_after_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, path, now = recording(stream()), tmp_path / "one.iolab", 100.0
    monkeypatch.setattr("probes.recording.time.monotonic", lambda: now)
    with path.open("wb") as file:
        writer = writer_of(made, file)
        writer.records(made.data)
        before = path.stat().st_size
        now += 1.1
        writer.records(b"")
        assert before < path.stat().st_size and load(path).data == made.data


def test_a_full_disk_is_an_error_at_the_end_only() -> None:
    made = recording(stream())
    room = io.BytesIO()

    class Disk(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            if room.tell() + len(data) > 1000:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return room.write(data)

    writer = writer_of(made, io.BufferedWriter(Disk(), 16))
    for _ in range(10):
        writer.records(made.data)
        writer.flush()
    with pytest.raises(OSError, match="No space left"):
        writer.finish(made)


def test_what_no_reader_would_take_is_not_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probes.bounds.CHUNKS", 2)
    with pytest.raises(WrongUsage, match="too large for a recording"):
        recording(stream()).save(str(tmp_path / "one.iolab"))
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="can't write"):
        recording([]).save(str(tmp_path / "missing" / "one.iolab"))
    assert not list(tmp_path.iterdir())
