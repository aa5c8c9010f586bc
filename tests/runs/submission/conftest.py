"""A program as a submission, for the tests of this folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from runs.submission import isolation
from runs.submission.launch import Launch
from runs.submission.server import Submission
from tests.runs.submission.programs import HEAD, PORT, PYTHON


@pytest.fixture
def isolated() -> None:
    """The test needs root and every kind of namespace."""
    if os.geteuid() != 0 or isolation.missing():
        pytest.skip("only root can make the namespaces; to make it run: sudo, or a container with --privileged")
    if not Path(PYTHON).exists():
        pytest.skip(f"{PYTHON} is missing; to make it run: apt-get install python3")


@pytest.fixture
def start(isolated: None, tmp_path: Path) -> Callable[..., Submission]:
    """Starts a Python program as a submission that nobody has read."""

    def of(
        program: str, number: int = 300, hidden: tuple[str, ...] = (), strict: bool = True, name: str = "server.py"
    ) -> Submission:
        folder = tmp_path / "submission"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(HEAD + program)
        folder.chmod(0o755)
        return Submission(Launch((PYTHON, name), str(folder), strict=strict, hidden=hidden), number, PORT)

    return of
