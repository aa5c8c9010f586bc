"""Files and links of several users, for the tests of what iolab writes and where it refuses to."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from probes import files
from probes.errors import WrongUsage

NOBODY, STRANGER, CALLER = 65534, 65533, 4711
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="other users' files need root; to make it run: sudo")


def refused(path: Path | str, words: str) -> None:
    """`check` and `whole` refuse a path with the same words, before anything is written."""
    with pytest.raises(WrongUsage, match=words) as before:
        files.check(str(path))
    with pytest.raises(WrongUsage, match=words) as then, files.whole(str(path)):
        pytest.fail("the work was begun")
    assert str(before.value) == str(then.value) and before.value.code == 2
    assert str(before.value).startswith(f"can't write {path}: ") and before.value.remedy


def owner(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)


def as_user(user: int, function: Callable[[], object]) -> None:
    """Runs a function in a child process of another user. An error in the child fails the test."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
            function()
            os._exit(0)
        except BaseException as error:
            os.write(2, f"{error!r}\n".encode())
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def made(path: Path, user: int = 0, mode: int = 0o644, group: int | None = None) -> Path:
    """An old file of that owner."""
    path.write_text("old")
    os.chown(path, user, user if group is None else group)
    path.chmod(mode)
    return path


def link(path: Path, target: Path | str, user: int) -> Path:
    path.symlink_to(target)
    os.lchown(path, user, user)
    return path
