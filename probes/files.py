"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from probes.errors import WrongUsage

_REMEDIES = {
    errno.ENOSPC: "make room there, or name another place",
    errno.EDQUOT: "make room there, or name another place",
}


def _refusal(path: str, error: OSError) -> WrongUsage:
    remedy = _REMEDIES.get(error.errno or 0, "name a file in a folder that you may write to")
    return WrongUsage(f"can't write {path}: {error.strerror or error}", remedy)


def check(path: str) -> None:
    """Raises WrongUsage if the file could not be written: before the work is done rather than after."""
    try:
        target = Path(path).resolve()
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not target.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        if len(os.fsencode(target.name)) > os.pathconf(target.parent, "PC_NAME_MAX"):
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        if not os.access(target if target.exists() else target.parent, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise _refusal(path, error) from error


@contextlib.contextmanager
def whole(path: str, mode: str = "w") -> Iterator[IO[Any]]:
    """A file to write to, which appears under its name when all is written. A link is followed; a device is written to.

    `mode` is "w" or "wb". Raises WrongUsage where it can't be written.
    """
    options: dict[str, Any] = {} if "b" in mode else {"encoding": "utf-8", "errors": "backslashreplace"}
    check(path)
    target = Path(path).resolve()
    try:
        if target.exists() and not target.is_file():
            with target.open(mode, **options) as file:
                yield file
            return
        descriptor, half = tempfile.mkstemp(prefix=".iolab-", dir=target.parent)
        try:
            with os.fdopen(descriptor, mode, **options) as file:
                yield file
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(half, target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~umask)  # noqa: PTH101
            os.replace(half, target)  # noqa: PTH105
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(half)  # noqa: PTH108
    except OSError as error:
        raise _refusal(path, error) from error
