"""A recording keeps its data, contains no kernel address, and is refused when damaged."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from probes import shapes
from probes.errors import WrongUsage
from probes.kernel import records
from probes.kernel.records import STACK_FRAMES, Kind
from probes.recording import load, without_addresses
from tests.conftest import recording_of
from tests.probes.measure.streams import record, recording

ADDRESS = 0xFFFFFFFF81234567


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


def test_addresses_become_ordinals_and_equal_ones_stay_equal() -> None:
    stack = record(Kind.STACK, id=ADDRESS, depth=2, frames=(ADDRESS, ADDRESS + 8) + (0,) * (STACK_FRAMES - 2))
    stream = [
        record(Kind.CALL, socket=ADDRESS),
        stack,
        record(Kind.SLEEP, stack=ADDRESS, waker_stack=ADDRESS + 1),
        record(Kind.CALL, socket=ADDRESS + 64),
        record(Kind.CALL, socket=ADDRESS),
        record(Kind.CALL),
    ]
    data, stacks = without_addresses(b"".join(map(records.encode, stream)))
    left = list(records.decode(data))
    assert [record.kind for record in left] == [Kind.CALL, Kind.SLEEP, Kind.CALL, Kind.CALL, Kind.CALL]
    assert [record.socket for record in left if record.kind == Kind.CALL] == [1, 2, 1, 0]
    assert (left[1].stack, left[1].waker_stack) == (1, 2)
    assert stacks == {1: [ADDRESS, ADDRESS + 8]}


@pytest.mark.parametrize("name", ["blocking", "epoll"])
def test_a_real_recording_tells_no_kernel_address(name: str) -> None:
    recording = load(Path(__file__).parents[1] / "data" / f"{name}.iolab")
    for found in records.decode(recording.data, recording.layouts):
        if found.kind == Kind.SLEEP:
            assert found.stack < 1000 and found.waker_stack < 1000
        if found.kind == Kind.CALL:
            assert found.socket < 1000
    assert "0xffff" not in json.dumps(recording.meta(), default=shapes.plain)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.unlink(), "No such file"),
        (lambda path: path.write_bytes(b"PK nonsense"), "not a whole iolab recording"),
        (lambda path: path.write_bytes(path.read_bytes()[:-40]), "not a whole iolab recording"),
        (lambda path: zipfile.ZipFile(path, "w").writestr("meta.json", "{}"), "not a whole iolab recording"),
    ],
)
def test_a_damaged_file_is_refused_in_words(tmp_path: Path, damage: object, words: str) -> None:
    path = tmp_path / "one.iolab"
    recording([record(Kind.THREAD, start=1)]).save(str(path))
    damage(path)  # type: ignore[operator]
    with pytest.raises(WrongUsage, match=words):
        load(path)


def test_a_newer_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as newer:
        newer.setattr("probes.recording.FORMAT", 99)
        recording([]).save(str(tmp_path / "new.iolab"))
    with pytest.raises(WrongUsage, match="another format"):
        load(tmp_path / "new.iolab")


def test_a_place_that_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="can't write"):
        recording([]).save(str(tmp_path / "missing" / "one.iolab"))
    assert not list(tmp_path.iterdir())
