"""Files are whole or not there; devices, links and other people's files are left what they are."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from probes import files
from probes.errors import WrongUsage


def test_it_appears_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "answer"
    with files.whole(str(target)) as file:
        file.write("half")
        assert not target.exists()
    assert target.read_text() == "half" and list(tmp_path.iterdir()) == [target]


def test_a_failure_leaves_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "answer"
    target.write_text("old")
    with pytest.raises(RuntimeError), files.whole(str(target)) as file:
        file.write("new")
        raise RuntimeError
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]


def test_a_link_is_followed_and_the_mode_kept(tmp_path: Path) -> None:
    target, link = tmp_path / "answer", tmp_path / "link"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    with files.whole(str(link)) as file:
        file.write("new")
    assert link.is_symlink() and target.read_text() == "new" and stat.S_IMODE(target.stat().st_mode) == 0o640


def test_a_pipe_stays_a_pipe(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    with files.whole(str(fifo)) as file:
        file.write("through")
    assert os.read(reader, 100) == b"through" and stat.S_ISFIFO(fifo.stat().st_mode)
    os.close(reader)


@pytest.mark.parametrize("path", ["/etc/passwd/x", ".", "/", "/nowhere/x", "x" * 300])
def test_a_bad_place_is_refused_in_words(path: str) -> None:
    with pytest.raises(WrongUsage, match="can't write"):
        files.check(path)
    with pytest.raises(WrongUsage, match="can't write"), files.whole(path):
        pass


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match=r"No space left.*\n.*make room"), files.whole("/dev/full") as file:
        file.write("x" * 100_000)
