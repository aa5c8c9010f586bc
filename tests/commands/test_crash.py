"""`trace --save` while iolab is killed: what was recorded until then can be shown."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from probes.chunks import ChunkKind
from probes.measure.measure import measure
from probes.patience import PATIENCE
from probes.recording import load

ROOT = Path(__file__).parents[2]


@pytest.mark.live
def test_a_recording_is_readable_when_iolab_was_killed(kernel: None, compiled: Callable[..., Path], tmp_path: Path) -> None:
    file, program = tmp_path / "killed.iolab", compiled("mixed")
    command = [sys.executable, "-m", "invoke", "--search-root", str(ROOT), "trace", "--save", str(file), "--"]
    with subprocess.Popen(
        [*command, str(program), "2000000000", "1"], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as iolab:
        end = time.monotonic() + 60 * PATIENCE
        while not (file.exists() and ChunkKind.RECORDS.value in file.read_bytes()):
            assert iolab.poll() is None and time.monotonic() < end
        iolab.kill()
    assert os.listdir(tmp_path) == ["killed.iolab"]
    result = measure(load(file))
    assert result.verdict == "inconclusive" and result.events.reasons["cut"] == 1
    assert len(result.calls) > 1000 and {"read", "getppid"} <= {call.name for call in result.calls}
