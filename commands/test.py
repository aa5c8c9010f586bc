"""`invoke test`: the linters and the tests, several processes at a time.

One process collects the live tests, another process collects the pure tests, and their forks run the tests (tests/forks.py).
Live tests mostly wait: for traffic, for sleeps, for processes. So several forks run them at a time. The linters and the pure
tests run beside them with lower priority, and use the CPU time that live tests leave. The tests that compare durations run
first, alone.
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
_IN_FORKS = ("-p", "tests.forks", "tests", "--forks")
_LIVE_FORKS = "3"
_PURE_FORKS, _PURE_FORKS_BESIDE_LIVE = "4", "2"  # some tests wait, so 4; beside live tests, no CPU is left for 4


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
    if options.live:
        jobs.run([_timed(), _live()])
    elif options.pure:
        jobs.run(_linters(), [_pure(_PURE_FORKS)])
    else:
        jobs.run([_timed()])
        jobs.run([_live()], [_pure(_PURE_FORKS_BESIDE_LIVE, gives_way=True)], _linters(gives_way=True))
    return jobs.summary()


def _timed() -> Job:
    return Job((*_LIVE, *_TIMED))


def _live() -> Job:
    return Job((*_LIVE, *_IN_FORKS, _LIVE_FORKS, *(f"--ignore={path}" for path in _TIMED)))


def _pure(forks: str, gives_way: bool = False) -> Job:
    return Job((*_PURE, *_IN_FORKS, forks), gives_way)


def _linters(gives_way: bool = False) -> list[Job]:
    return [Job(words, gives_way) for words in (("mypy", "."), ("ruff", "check", "."), ("ruff", "format", "--check", "."))]


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

    def run(self, *lists: Sequence[Job]) -> None:
        """Runs these lists at the same time, the jobs of a list one after the other. After an interrupt no job begins."""
        workers = [threading.Thread(target=self._work, args=(deque(jobs),)) for jobs in lists]
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

    def _work(self, queue: deque[Job]) -> None:
        while job := self._next(queue):
            with tempfile.TemporaryFile() as output:
                begin = time.monotonic()
                done = subprocess.run(job.line, cwd=ROOT, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
                output.seek(0)
                self._take(Ended(job, done.returncode, time.monotonic() - begin), output.read().decode(errors="replace"))

    def _next(self, queue: deque[Job]) -> Job | None:
        with self._lock:
            if self._stopped or not queue:
                return None
            job = queue.popleft()
            print(f"runs: {' '.join(job.words)}", flush=True)
            return job

    def _take(self, ended: Ended, printed: str) -> None:
        with self._lock:
            self._ended.append(ended)
            self._stopped = self._stopped or ended.interrupted
            print(f"\n{printed}{ended}", flush=True)
