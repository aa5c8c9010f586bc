"""The seal is whole on what iolab writes, and broken by each edit that keeps the old seal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from probes import chunks
from probes.context import Answers
from probes.recording import Head, Recording, Writer, load
from probes.seal import State
from tests.conftest import DATA, recording_of
from tests.damage import Chunk, frame


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    path = tmp_path / "one.iolab"
    recording_of("blocking").with_context(prediction=Answers(1, {"calls": "3"})).save(str(path))
    return path


def parts(path: Path) -> list[Chunk]:
    with path.open("rb") as file:
        file.readline()
        return [(kind.value, payload) for kind, payload in chunks.read(file)]


def with_answers(payload: bytes, answers: dict[str, str]) -> bytes:
    content = json.loads(payload)
    content["context"]["prediction"]["answers"] = answers
    return json.dumps(content, separators=(",", ":")).encode()


def without_prediction(payload: bytes) -> bytes:
    content = json.loads(payload)
    del content["context"]["prediction"]
    return json.dumps(content, separators=(",", ":")).encode()


def test_a_saved_recording_is_sealed_and_save_returns_the_seal(tmp_path: Path) -> None:
    digest = recording_of("blocking").save(str(tmp_path / "one.iolab"))
    found = load(tmp_path / "one.iolab").seal
    assert found.state is State.WHOLE and found.digest == digest and len(digest) == 64


def test_the_seal_depends_on_the_answers(sealed: Path, tmp_path: Path) -> None:
    other = recording_of("blocking").with_context(prediction=Answers(1, {"calls": "2"}))
    assert other.save(str(tmp_path / "other.iolab")) != load(sealed).seal.digest


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(lambda all_: [(all_[0][0], with_answers(all_[0][1], {"calls": "2"})), *all_[1:]], id="answers"),
        pytest.param(lambda all_: [(all_[0][0], without_prediction(all_[0][1])), *all_[1:]], id="prediction"),
        pytest.param(lambda all_: [(all_[0][0], all_[0][1] + b" "), *all_[1:]], id="a blank"),
        pytest.param(lambda all_: [part for part in all_ if part[0] != b"STAK"], id="no stacks"),
        pytest.param(lambda all_: [*all_[:-1], (b"DONE", all_[-1][1].replace(b'"seen":', b'"seen":1'))], id="a count"),
        pytest.param(lambda all_: [*all_[:-1], (b"DONE", all_[-1][1][:-4] + b'00"}')], id="the seal"),
    ],
)
def test_an_edit_with_right_checksums_breaks_the_seal(sealed: Path, edit: Callable[[list[Chunk]], list[Chunk]]) -> None:
    before = parts(sealed)
    after = edit(before)
    assert after != before
    sealed.write_bytes(frame(after))
    assert load(sealed).seal.state is State.BROKEN


def test_the_same_chunks_packed_in_another_way_keep_the_seal(sealed: Path) -> None:
    sealed.write_bytes(frame(parts(sealed), level=9))
    assert load(sealed).seal.state is State.WHOLE


def test_other_records_break_the_seal(sealed: Path) -> None:
    before = parts(sealed)
    records = [index for index, (kind, _) in enumerate(before) if kind == b"RECS"]
    kind, payload = before[records[-1]]
    before[records[-1]] = (kind, payload[:-1] + bytes([payload[-1] ^ 1]))
    sealed.write_bytes(frame(before))
    assert load(sealed).seal.state is State.BROKEN


def test_a_file_of_today_without_a_seal_is_read(sealed: Path) -> None:
    before, whole = parts(sealed), load(sealed)
    content = json.loads(before[-1][1])
    del content["seal"]
    sealed.write_bytes(frame([*before[:-1], (b"DONE", json.dumps(content).encode())]))
    assert load(sealed) == whole and load(sealed).seal.state is State.NONE


def test_a_cut_file_and_a_file_of_format_1_have_no_seal(sealed: Path) -> None:
    sealed.write_bytes(frame(parts(sealed)[:-1]))
    assert load(sealed).seal.state is State.NONE
    assert any(not load(path).seal.digest for path in DATA.glob("*.iolab"))


def test_answers_that_only_the_end_has_are_late(tmp_path: Path) -> None:
    made = recording_of("blocking")
    assert state(made, made.with_context(prediction=Answers(1, {"calls": "3"})), tmp_path) is State.LATE
    assert state(made, made.with_context(watch="other words"), tmp_path) is State.WHOLE


def state(start: Recording, end: Recording, folder: Path) -> State:
    """What the seal says of a file that begins with the context of one recording, and ends with another's."""
    with (folder / "two.iolab").open("wb") as file:
        writer = Writer(file, Head(start.machine, start.probes, start.context, start.layouts))
        writer.records(end.data)
        writer.finish(end)
    return load(folder / "two.iolab").seal.state
