"""`trace --save` while iolab is killed: what was recorded until then can be shown."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from probes.chunks import ChunkKind
from probes.measure.measure import measure
from probes.patience import PATIENCE
from probes.recording import Missing, load
from reports.losses import notes

ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def recorded(file: Path, program: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """`trace --save` of a program that works for ever; iolab is killed at the end."""
    command = [sys.executable, "-m", "invoke", "--search-root", str(ROOT), "trace", "--save", str(file), *options, "--"]
    with subprocess.Popen(
        [*command, str(program), "2000000000", "1"], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as iolab:
        yield iolab
        iolab.kill()
    assert os.listdir(file.parent) == [file.name]


def wait_for(iolab: subprocess.Popen[bytes], file: Path, kind: ChunkKind, times: int = 1) -> None:
    end = time.monotonic() + 60 * PATIENCE
    while not (file.exists() and file.read_bytes().count(kind.value) >= times):
        assert iolab.poll() is None and time.monotonic() < end
        time.sleep(0.01)  # without the sleep, the loop takes a CPU from the program and from iolab


@pytest.mark.live
def test_a_recording_is_readable_when_iolab_was_killed(kernel: None, compiled: Callable[..., Path], tmp_path: Path) -> None:
    file = tmp_path / "killed.iolab"
    with recorded(file, compiled("mixed")) as iolab:
        wait_for(iolab, file, ChunkKind.RECORDS, 2)  # the first is whole when the second begins
    result = measure(load(file))
    assert result.verdict == "inconclusive" and result.events.reasons["cut"] == 1
    assert len(result.calls) > 1000 and {"read", "getppid"} <= {call.name for call in result.calls}


@pytest.mark.live
def test_the_sums_of_a_killed_recording_are_those_of_a_stated_time(
    kernel: None, compiled: Callable[..., Path], tmp_path: Path
) -> None:
    """Few calls are recorded one by one. All the others, of some seconds, are in the last sums that the file has."""
    file = tmp_path / "killed.iolab"
    with recorded(file, compiled("mixed"), "--details", "1000") as iolab:
        wait_for(iolab, file, ChunkKind.SUMS, 2)
    cut = load(file)
    result = measure(cut)
    seconds = cut.losses[Missing.SUMMED_MS] / 1000
    assert result.verdict == "inconclusive" and result.events.reasons["cut"] == 1 and 1 <= seconds < 60 * PATIENCE
    rows = {row.name: row.count for row in result.rows}
    in_detail = sum(call.count for call in result.named("getppid"))  # the budget is checked every 20 ms
    assert not result.details.complete and rows["getppid"] > max(10_000, 2 * in_detail)
    (thread,) = result.threads
    assert thread.calls == sum(rows.values())
    assert abs(thread.wall - seconds * 1e9) < 0.2 * seconds * 1e9 and thread.user > 0, "the account is of the same time"
    (sentence,) = [each for each in notes(result.events) if "cut off" in each]
    assert f"{seconds:.1f} s" in sentence
