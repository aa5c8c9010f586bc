"""What a submission starts: the command, its folder, and how far iolab trusts them."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from probes.errors import WrongUsage

_LARGEST_COPY, _PAGE = 64 << 20, 4096  # bytes: of a submission's folder, and of a page


@dataclass(frozen=True)
class Launch:
    """A submission: the command, its folder, and how far it is trusted.

    `strict` runs it as a user without any right, on a copy of its folder, with a read-only view of the other files. `hidden`
    are folders and files that it finds empty: other submissions, the rubric.
    """

    command: tuple[str, ...]
    folder: str
    strict: bool = False
    hidden: tuple[str, ...] = ()
    io_uring: bool = False  # may a strict server use it? The kernel's largest interface, which one model needs
    slot: int = 0  # which of the submissions that run at the same time: each has a user id of its own


def check_command(command: Sequence[str], folder: str) -> None:
    """Raises WrongUsage if there is no such program."""
    if not command:
        raise WrongUsage("no server to start", "give its command line after --: ... -- python3 server.py {port}")
    found = shutil.which(command[0], path=os.environ.get("PATH", os.defpath))
    if found is None and not (Path(folder) / command[0]).exists():
        raise WrongUsage(f"there is no program {command[0]!r}", "give its path, or a name that is on PATH")


def check_folder(folder: str) -> None:
    """Raises WrongUsage if the folder is missing, or too large to be copied."""
    if not Path(folder).is_dir():
        raise WrongUsage(f"there is no folder {folder}", "name the folder of the submission")
    total = 0
    for place, _folders, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(OSError):
                total += -(-(Path(place) / name).lstat().st_size // _PAGE) * _PAGE  # as the file system in memory keeps it
        if total > _LARGEST_COPY:
            raise WrongUsage(
                f"the folder {folder} holds more than {_LARGEST_COPY >> 20} MB", "remove what the server does not need"
            )


def with_slot(launch: Launch, slot: int) -> Launch:
    """The same submission with the user id of another slot."""
    return dataclasses.replace(launch, slot=slot)
