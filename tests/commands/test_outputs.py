"""Each output fails by itself: a recording is saved although the answer, progress or the terminal fails."""

from __future__ import annotations

import json
import os
import pty
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from probes.patience import PATIENCE
from probes.recording import load
from tests.conftest import COMMAND

INVOKE = shlex.join(COMMAND)
SHORT_LAB = f"{INVOKE} lab blocking --messages 2 --save b"
pytestmark = pytest.mark.live


def shell(line: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", line], cwd=cwd, capture_output=True, text=True, timeout=120 * PATIENCE)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (f"{INVOKE} trace --save b -- true 2>/dev/full", 2),
        (f"{INVOKE} trace --out a --save b -- true 2>/dev/full", 0),
        (f"{SHORT_LAB} >/dev/full", 2),
        (f"{SHORT_LAB} --json | head -c1; exit ${{PIPESTATUS[0]}}", None),
        (f"{SHORT_LAB} 2>&1 | head -n1; exit ${{PIPESTATUS[0]}}", None),
        (f"{SHORT_LAB} --out /dev/full", 2),
        (f"{SHORT_LAB} >&-", 0),
        (f"{SHORT_LAB} <&- >&- 2>&-", 0),
    ],
)
def test_the_recording_outlives_an_output_that_fails(kernel: None, tmp_path: Path, line: str, status: int | None) -> None:
    done = shell(line, tmp_path)
    assert load(tmp_path / "b").data, done.stderr
    # a pipe may have taken the whole answer before its reader went
    assert done.returncode in ((0, 128 + signal.SIGPIPE) if status is None else (status,)), done.stderr
    assert "Traceback" not in done.stderr
    if status == 2 and "2>" not in line:
        (words,) = [words for words in done.stderr.splitlines() if "can't write" in words]
        assert "No space left on device" in words
    if "--out a" in line:
        assert (tmp_path / "a").stat().st_size
    assert not [name for name in os.listdir(tmp_path) if name not in ("a", "b")]


def test_a_recording_that_can_not_be_written_takes_nothing_from_the_answer(kernel: None, tmp_path: Path) -> None:
    done = shell(f"{INVOKE} lab blocking --messages 2 --save /dev/full --json", tmp_path)
    assert done.returncode == 2 and json.loads(done.stdout)["verdict"] == "pass"


def test_without_stderr_progress_goes_nowhere(kernel: None, tmp_path: Path) -> None:
    done = shell(f"{INVOKE} lab blocking --messages 2 --json 2>&-", tmp_path)
    assert json.loads(done.stdout)["lab"] == "blocking"


def test_a_program_finds_closed_what_the_user_had_closed(kernel: None, tmp_path: Path) -> None:
    script = "import os; open('found', 'w').write(' '.join(sorted(os.listdir('/proc/self/fd'))))"
    look = shlex.join([sys.executable, "-S", "-c", script])
    shell(f"{look} <&- >&- 2>&-", tmp_path)
    alone = (tmp_path / "found").read_text()
    shell(f"{INVOKE} trace --out a -- {look} <&- >&- 2>&-", tmp_path)
    assert (tmp_path / "found").read_text() == alone


def test_a_terminal_that_goes_away_leaves_the_recording(kernel: None, tmp_path: Path) -> None:
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(tmp_path)
        os.execv(COMMAND[0], [*COMMAND, "lab", "blocking", "--messages", "5", "--save", "b"])
    said = b""
    while b"traced: " not in said.replace(b"untraced", b""):
        said += os.read(terminal, 4096)
    os.close(terminal)  # the foreground group gets SIGHUP, and a write to the terminal fails with EIO
    _, status = os.waitpid(child, 0)
    assert load(tmp_path / "b").data
    assert os.waitstatus_to_exitcode(status) == 2
