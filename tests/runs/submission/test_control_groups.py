"""The control groups limit a server's memory, and none is left."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from runs.submission import control_groups, isolation
from runs.submission.server import Submission
from tests.runs.submission.programs import FOREVER, SERVE


@pytest.mark.live
def test_limits_leave_no_control_group(start: Callable[..., Submission]) -> None:
    with start(SERVE + FOREVER) as server:
        server.listening()
        made = [folder for parent in control_groups.group_folders() for folder in parent.glob(f"iolab-{os.getpid()}-300")]
        assert len(made) == len(control_groups.group_folders())
    assert not [folder for folder in made if folder.exists()]


@pytest.mark.live
@pytest.mark.parametrize("limited", [True, False], ids=["by a group", "by checks"])
def test_memory_that_is_used_is_limited_and_memory_that_is_mapped_is_not(
    start: Callable[..., Submission], monkeypatch: pytest.MonkeyPatch, limited: bool
) -> None:
    """AddressSanitizer maps 16 TB, and uses little of it."""
    if limited and not control_groups.group_folders():
        pytest.skip("no control group can be made; to make it run: root, with /sys/fs/cgroup writable")
    if not limited:
        monkeypatch.setattr(control_groups, "group_folders", list)
        assert any("checks the memory of a server" in words for words in isolation.unprotected(strict=True))
    program = "import mmap, threading\nmmap.mmap(-1, 1 << 40, 0x4022); print('mapped', flush=True)\n" + SERVE
    program += (
        "time.sleep(0.2)\nkept = []\nwhile len(kept) < 400: kept.append(b'x' * (16 << 20))\nprint('took all', flush=True)\n"
    )
    with start(program + FOREVER) as server:
        server.listening()
        assert server.ends_within(20)
        assert server.output.splitlines() == ["mapped"] and server.ended == -9
        assert limited or "more than 1,024 MB: iolab ended it" in server.stopped
