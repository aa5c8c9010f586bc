"""What the tests of files write, also in processes of their own: those import no pytest, which takes longer than the test."""

from __future__ import annotations

from pathlib import Path

from probes import files


def write(path: Path | str, text: str = "new") -> None:
    """Checks a path and writes to it."""
    files.check(str(path))
    with files.whole(str(path)) as file:
        file.write(text)
