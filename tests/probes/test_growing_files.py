"""A file that grows: it has its name from the start, an old file stays until the end, and a kill leaves what has grown."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from probes import files
from probes.errors import WrongUsage
from tests.conftest import ROOT
from tests.probes.owners import CALLER, STRANGER, as_root, link, made, owner


def test_a_new_file_has_its_name_while_it_grows(tmp_path: Path) -> None:
    target = tmp_path / "recording"
    with files.growing(str(target)) as file:
        file.write(b"half")
        file.flush()
        assert target.read_bytes() == b"half"
        file.write(b" and half")
    assert target.read_bytes() == b"half and half" and list(tmp_path.iterdir()) == [target]


def test_an_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    target = made(tmp_path / "recording", os.geteuid(), mode=0o640)
    with files.growing(str(target)) as file:
        file.write(b"half")
        file.flush()
        assert target.read_text() == "old" and (tmp_path / "recording.part").read_bytes() == b"half"
    assert target.read_bytes() == b"half" and list(tmp_path.iterdir()) == [target]
    assert owner(target)[2] == 0o640


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("exists", [False, True])
def test_a_kill_leaves_what_has_grown(tmp_path: Path, exists: bool, named: bool) -> None:
    target = tmp_path / "recording"
    if exists:
        made(target, os.geteuid())
    grow_and_die(target, named)
    left = {path.name: path.read_text() for path in tmp_path.iterdir() if not path.name.startswith(".iolab-")}
    assert left == ({"recording": "old", "recording.part": "half"} if exists else {"recording": "half"})
    with files.growing(str(target)) as file:
        file.write(b"whole")
    assert target.read_text() == "whole" and list(tmp_path.iterdir()) == [target]


def grow_and_die(target: Path, named: bool) -> None:
    code = (
        f"import os, signal; {'del os.O_TMPFILE' if named else ''}\n"
        "from probes import files\n"
        f"with files.growing({str(target)!r}) as file:\n"
        "    file.write(b'half'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == -signal.SIGKILL


@pytest.mark.parametrize(("written", "left"), [(b"half", ["recording"]), (b"", [])])
def test_an_error_leaves_what_has_grown(tmp_path: Path, written: bytes, left: list[str]) -> None:
    with pytest.raises(RuntimeError), files.growing(str(tmp_path / "recording")) as file:
        file.write(written)
        file.flush()
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == left


@pytest.mark.parametrize("exists", [False, True])
def test_two_that_grow_at_once_leave_one_whole(tmp_path: Path, exists: bool) -> None:
    target = tmp_path / "recording"
    if exists:
        made(target, os.geteuid())
    with files.growing(str(target)) as first:
        first.write(b"first")
        with files.growing(str(target)) as second:
            second.write(b"second")
        assert target.read_bytes() == b"second"
    assert target.read_bytes() == b"first" and list(tmp_path.iterdir()) == [target]


@as_root
def test_a_part_that_another_user_planted_stays(folder: Path) -> None:
    folder.chmod(0o1777)
    target, secret = made(folder / "recording"), made(folder / "secret")
    planted = [made(folder / "recording.part", STRANGER), link(folder / "other.part", secret, STRANGER)]
    made(folder / "other")
    for name in ("recording", "other"):
        with files.growing(str(folder / name)) as file:
            file.write(b"new")
    assert target.read_text() == (folder / "other").read_text() == "new"
    assert planted[0].read_text() == "old" and planted[1].is_symlink() and secret.read_text() == "old"


@as_root
def test_what_grows_belongs_to_the_caller_of_sudo(folder: Path, sudo: None) -> None:
    with files.growing(str(folder / "recording")) as file:
        assert owner(folder / "recording")[:2] == (CALLER, CALLER + 1)
        file.write(b"new")


def test_a_pipe_is_written_to_at_once() -> None:
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    with files.growing(f"/dev/fd/{writer}") as file:
        file.write(b"new")
        file.flush()
        assert os.read(reader, 10) == b"new"
    os.close(reader)
    os.close(writer)


def test_what_whole_refuses_does_not_grow(tmp_path: Path) -> None:
    for path in (tmp_path / "missing" / "recording", tmp_path):
        with pytest.raises(WrongUsage, match="can't write"), files.growing(str(path)):
            pytest.fail("the work was begun")
