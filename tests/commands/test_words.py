"""What a user types or names files reaches the terminal as text: errors and progress show control characters as escapes."""

from __future__ import annotations

import pytest

from tests.conftest import iolab

HOSTILE = "x\x1b[31my"


@pytest.mark.parametrize("arguments", [("show", HOSTILE), ("lab", HOSTILE), (HOSTILE,), ("show", f"--{HOSTILE}")])
def test_errors_and_progress_show_escapes(arguments: tuple[str, ...]) -> None:
    done = iolab(*arguments)
    assert done.returncode == 2
    assert "\x1b" not in done.stderr + done.stdout and r"\x1b[31my" in done.stderr
