"""`invoke test`: the linters and the tests, several processes at a time.

Live tests mostly wait: for traffic, for sleeps, for processes. So three processes of live tests run at a time. Beside them,
one process of linters and the pure tests, in forks of one process (tests/forks.py), run with lower priority. They use the CPU
time that live tests leave. The tests that compare durations run first, alone.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_START = [sys.executable, "-I", str(ROOT / "runs" / "start.py")]  # nothing of the environment and of other folders is imported
HELP: dict[str, str] = {}

_LIVE, _PURE = ("pytest", "-m", "live"), ("pytest", "-m", "not live")
_TIMED = ("tests/test_start.py", "tests/probes/measure/test_notified.py")  # compare durations, so they run alone
_LIVE_AT_ONCE = 3  # processes of live tests
# Parts of the tests, the longest first. The tests that no part names come last. A process that has ended its part takes the
# next part.
_LIVE_PARTS = (
    ("tests/labs/test_wrong_servers.py", "tests/runs/grading/test_marking.py"),  # the second marks the runs of the first
    ("tests/runs",),
    ("tests/machines",),
    ("tests/labs",),
    ("tests/probes",),
    ("tests/runs/test_link.py", "tests/runs/test_trace.py"),
    ("tests/labs/test_live.py",),
    ("tests/commands",),
    ("tests/labs/test_live_cases.py",),
)
_PURE_JOB = (*_PURE, "-p", "tests.forks", "tests", "--forks")
_FORKS, _FORKS_BESIDE_LIVE = "4", "2"  # four, as some tests wait for servers; beside live tests no CPU is left for them


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
    live = [] if options.pure else [Job(words) for words in _parted(_LIVE, _LIVE_PARTS, _TIMED)]
    pure = [] if options.live else [Job((*_PURE_JOB, _FORKS_BESIDE_LIVE if live else _FORKS), gives_way=bool(live))]
    jobs = Jobs()
    if live:
        jobs.run([Job((*_LIVE, *_TIMED))], [])
    with jobs.beside([] if options.live else _linters(gives_way=bool(live))):
        jobs.run(live, pure)
    return jobs.summary()


def _linters(gives_way: bool) -> list[Job]:
    return [Job(words, gives_way) for words in (("mypy", "."), ("ruff", "check", "."), ("ruff", "format", "--check", "."))]


def _parted(chosen: Sequence[str], parts: Sequence[Sequence[str]], without: Sequence[str]) -> list[tuple[str, ...]]:
    """The command lines for these parts, and for the rest of the tests. A part leaves out what another part names."""
    named = [path for part in (*parts, without) for path in part]
    within = [
        [path for path in named if path not in part and path.startswith(tuple(f"{at}/" for at in part))] for part in parts
    ]
    lines = [(*chosen, *part, *map(_ignored, inner)) for part, inner in zip(parts, within, strict=True)]
    return [*lines, (*chosen, "tests", *map(_ignored, named))]


def _ignored(path: str) -> str:
    return f"--ignore={path}"


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
        """Three workers take the live jobs, another one the pure jobs; each then takes jobs that no worker has begun."""
        queues = deque(live), deque(pure)
        self._end(self._started([queues] * _LIVE_AT_ONCE + [queues[::-1]] if live else [queues] * 2))

    @contextlib.contextmanager
    def beside(self, jobs: Sequence[Job]) -> Iterator[None]:
        """A further worker does these jobs while others run."""
        workers = self._started([(deque(jobs),)])
        try:
            yield
        except BaseException:
            self._stopped = True
            raise
        finally:
            self._end(workers)

    def _started(self, orders: Sequence[Sequence[deque[Job]]]) -> list[threading.Thread]:
        """A worker for each order of the queues."""
        workers = [threading.Thread(target=self._work, args=(order,)) for order in orders]
        for worker in workers:
            worker.start()
        return workers

    def _end(self, workers: Sequence[threading.Thread]) -> None:
        """Waits for the workers; after an interrupt none of them begins another job."""
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
