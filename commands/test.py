"""`invoke test`: the linters and the tests, in two lanes side by side.

Live tests mostly wait: for traffic, for sleeps, for processes. So the other lane has what computes: the linters, the pure tests
and the machines of QEMU. A lane is a list of processes that run one after the other.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[1]
_START = [sys.executable, "-I", str(ROOT / "runs" / "start.py")]  # nothing of the environment and of other folders is imported
HELP: dict[str, str] = {}
_LINTERS = [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy", "."]]

# The folders and files whose tests start many processes, and wait for them.
_STARTING = ("servers", "commands", "test_add_a_model.py")
_PURE = ["pytest", "-m", "not live"]
_OTHERS = [*_PURE, "tests", *(f"--ignore=tests/{name}" for name in _STARTING)]
_LIVE = ["pytest", "-m", "live"]
# Live tests for the other lane, so that both take about as long.
_BESIDE = ["tests/machines", "tests/runs"]
_TIMED = ["tests/test_start.py", "tests/probes/measure/test_notified.py"]  # compare durations, so they run alone


def test(*, rest: list[str]) -> int:
    """Run the linters and the tests.

    --live runs only the tests that need the kernel, --pure only those that don't. Files, -k EXPRESSION, --durations N and all
    other options go to pytest, and the linters are left out then: ./iolab test tests/probes -k ring --durations 10
    """
    parser = argparse.ArgumentParser(prog="./iolab test", add_help=False, allow_abbrev=False)
    parser.add_argument("--live", action="store_true")
    parser.add_argument("--pure", action="store_true")
    options, for_pytest = parser.parse_known_args(rest)
    if for_pytest:
        chosen = _LIVE if options.live else _PURE if options.pure else ["pytest"]
        return subprocess.run([*_START, *chosen, *for_pytest], cwd=ROOT).returncode
    status = 0 if options.pure else _run([[*_LIVE, *_TIMED]], None)
    shown, beside = _lanes(options.live, options.pure)
    with _beside(beside) as finished:
        status = max(status, _run(shown, None))
        return max(status, finished())


def _lanes(live: bool, pure: bool) -> tuple[list[list[str]], list[list[str]]]:
    """The lane whose output is shown at once, and the lane beside it."""
    starting = [*_PURE, *(f"tests/{name}" for name in _STARTING)]
    if pure:
        return [_OTHERS], [*_LINTERS, starting]
    shown = [*_LIVE, "tests", *(f"--ignore={path}" for path in (*_BESIDE, *_TIMED))]
    if live:
        return [shown], [[*_LIVE, *_BESIDE]]
    return [shown], [*_LINTERS, _OTHERS, starting, [*_LIVE, *_BESIDE]]


def _run(lane: Sequence[Sequence[str]], output: IO[bytes] | None) -> int:
    """Runs a lane to its end, also after a failure. 0, or 1 if any process failed. An interrupted pytest ends the lane."""
    status = 0
    for line in lane:
        ended = subprocess.run([*_START, *line], cwd=ROOT, stdout=output, stderr=output, stdin=subprocess.DEVNULL).returncode
        status = max(status, min(abs(ended), 1))
        if ended < 0 or (line[0] == "pytest" and ended == _INTERRUPTED):
            break
    return status


_INTERRUPTED = 2  # pytest's status after Ctrl-C, which the terminal sends to both lanes


@contextlib.contextmanager
def _beside(lane: Sequence[Sequence[str]]) -> Iterator[Finished]:
    """Runs a lane in the background. The value waits for its end, prints its output, and gives its status."""
    with tempfile.TemporaryFile() as output:
        finished = Finished(lane, output)
        finished.start()
        try:
            yield finished
        finally:
            finished.join()


class Finished(threading.Thread):
    """A lane in the background."""

    def __init__(self, lane: Sequence[Sequence[str]], output: IO[bytes]) -> None:
        super().__init__()
        self._lane, self._output, self._status = lane, output, 0

    def run(self) -> None:
        """Runs the lane."""
        self._status = _run(self._lane, self._output)

    def __call__(self) -> int:
        """Waits for the end of the lane and prints its output; its status."""
        print("\nbeside these tests ran: " + "; ".join(" ".join(line) for line in self._lane), flush=True)
        self.join()
        self._output.seek(0)
        sys.stdout.write(self._output.read().decode(errors="replace"))
        sys.stdout.flush()
        return self._status
