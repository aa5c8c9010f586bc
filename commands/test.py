"""`invoke test`: the linters and the tests, several processes at a time.

Live tests mostly wait: for traffic, for sleeps, for processes. So two processes of live tests run at a time, and beside them,
with lower priority, a process of what computes: the linters and the pure tests. It takes the CPU time that live tests leave.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_START = [sys.executable, "-I", str(ROOT / "runs" / "start.py")]  # nothing of the environment and of other folders is imported
HELP: dict[str, str] = {}

_LIVE, _PURE = ("pytest", "-m", "live"), ("pytest", "-m", "not live")
_TIMED = ("tests/test_start.py", "tests/probes/measure/test_notified.py")  # compare durations, so they run alone
# Parts of the tests, the longest first. What no part names comes last. A process takes the next part when its part has ended.
_LIVE_PARTS = (
    ("tests/labs/test_live.py",),
    ("tests/runs",),
    ("tests/labs/test_wrong_servers.py",),
    ("tests/probes",),
    ("tests/machines",),
)
_PURE_PARTS = (
    ("tests/servers",),
    ("tests/reports",),
    ("tests/runs",),
    ("tests/commands", "tests/test_add_a_model.py", "tests/test_growth.py"),
    ("tests/findings", "tests/labs", "tests/probes"),
)


@dataclass(frozen=True)
class Job:
    """One process: pytest with a part of the tests, or a linter."""

    words: tuple[str, ...]
    gives_way: bool = False  # lower priority

    @property
    def line(self) -> list[str]:
        """The command line."""
        return [*(("nice", "-n", "10") if self.gives_way else ()), *_START, *self.words]


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
        chosen = _LIVE if options.live else _PURE if options.pure else ("pytest",)
        return subprocess.run(Job((*chosen, *for_pytest)).line, cwd=ROOT).returncode
    jobs = Jobs()
    if not options.pure:
        jobs.run([Job((*_LIVE, *_TIMED))], [])
    live = [] if options.pure else [Job(words) for words in _parted(_LIVE, _LIVE_PARTS, _TIMED)]
    jobs.run(live, [] if options.live else _pure_jobs(gives_way=bool(live)))
    return jobs.summary()


def _pure_jobs(gives_way: bool) -> list[Job]:
    linters = [("mypy", "."), ("ruff", "check", "."), ("ruff", "format", "--check", ".")]
    return [Job(words, gives_way) for words in (*linters, *_parted(_PURE, _PURE_PARTS, ()))]


def _parted(chosen: Sequence[str], parts: Sequence[Sequence[str]], without: Sequence[str]) -> list[tuple[str, ...]]:
    """The command lines for these parts, and for the rest of the tests."""
    others = [f"--ignore={path}" for part in (*parts, without) for path in part]
    return [*((*chosen, *part) for part in parts), (*chosen, "tests", *others)]


@dataclass(frozen=True)
class Ended:
    """A job that has ended."""

    job: Job
    status: int
    seconds: float

    @property
    def interrupted(self) -> bool:
        """Whether a signal ended it, or Ctrl-C, which the terminal sends to all jobs."""
        return self.status < 0 or (self.job.words[0] == "pytest" and self.status == 2)

    def __str__(self) -> str:
        outcome = "passed" if not self.status else f"failed (status {self.status})"
        return f"{outcome} in {self.seconds:.0f} s: {' '.join(self.job.words)}"


class Jobs:
    """Runs jobs, and prints what each has printed when it ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended: list[Ended] = []
        self._stopped = False

    def run(self, live: Sequence[Job], pure: Sequence[Job]) -> None:
        """Two workers take the live jobs, a third one the pure jobs; each then takes what the others have not begun."""
        queues = deque(live), deque(pure)
        workers = [threading.Thread(target=self._work, args=(order,)) for order in (queues, queues, queues[::-1])]
        for worker in workers:
            worker.start()
        try:
            for worker in workers:
                worker.join()
        finally:
            self._stopped = self._stopped or any(worker.is_alive() for worker in workers)
            for worker in workers:
                worker.join()

    def summary(self) -> int:
        """Prints a line for each job, those that failed at the end. Returns 0, or 1 if any failed."""
        print("", *sorted(self._ended, key=lambda ended: bool(ended.status)), sep="\n", flush=True)
        return min(max((abs(ended.status) for ended in self._ended), default=0), 1)

    def _work(self, queues: Sequence[deque[Job]]) -> None:
        while job := self._next(queues):
            with tempfile.TemporaryFile() as output:
                begin = time.monotonic()
                done = subprocess.run(job.line, cwd=ROOT, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
                output.seek(0)
                self._take(Ended(job, done.returncode, time.monotonic() - begin), output.read().decode(errors="replace"))

    def _next(self, queues: Sequence[deque[Job]]) -> Job | None:
        with self._lock:
            queue = next(filter(None, queues), None)
            if self._stopped or queue is None:
                return None
            job = queue.popleft()
            print(f"runs: {' '.join(job.words)}", flush=True)
            return job

    def _take(self, ended: Ended, printed: str) -> None:
        with self._lock:
            self._ended.append(ended)
            self._stopped = self._stopped or ended.interrupted
            print(f"\n{printed}{ended}", flush=True)
