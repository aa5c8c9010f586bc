"""The commands write through probes/files.py: their files belong to the caller of sudo."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import DATA, iolab

CALLER = 4711


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return iolab(*map(str, arguments), SUDO_UID=str(CALLER), SUDO_GID=str(CALLER))


@pytest.mark.skipif(os.geteuid() != 0, reason="SUDO_UID counts for root only; to make it run: sudo")
def test_what_a_command_writes_belongs_to_the_caller_of_sudo(tmp_path: Path) -> None:
    assert run("show", DATA / "epoll.iolab", "--json", "--out", tmp_path / "answer").returncode == 0
    assert run("handout", "all", "--out", tmp_path / "made" / "pages").returncode == 0
    written = list(tmp_path.rglob("*"))
    assert {"answer", "made", "pages", "epoll.md"} <= {path.name for path in written}
    assert {path.stat().st_uid for path in written} == {CALLER}


@pytest.mark.skipif(os.geteuid() != 0, reason="a link of another user needs root; to make it run: sudo")
def test_another_users_link_ends_a_command_before_its_work(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    os.lchown(tmp_path / "link", 65534, 65534)
    ended = run("show", DATA / "epoll.iolab", "--out", tmp_path / "link")
    assert ended.returncode == 2 and "name the file itself" in ended.stderr and "Traceback" not in ended.stderr
    assert (tmp_path / "secret").read_text() == "old"
