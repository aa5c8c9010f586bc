"""A full queue of signals: a queued signal finds no place, and the limit comes back."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from pathlib import Path

import pytest

from runs.signal_queue import full


def test_a_child_has_no_place_for_a_queued_signal_meanwhile() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can change the limit of another user's process; to make it run: sudo")
    child = os.fork()
    if child == 0:
        signal.pause()
        os._exit(0)
    try:
        before = resource.prlimit(child, resource.RLIMIT_SIGPENDING)
        with full(os.getpid()):
            assert resource.prlimit(child, resource.RLIMIT_SIGPENDING)[0] == 0
            assert "SigQ:\t" in Path(f"/proc/{child}/status").read_text()
        assert resource.prlimit(child, resource.RLIMIT_SIGPENDING) == before
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
