"""Whether the threads of a server sleep while it has nothing to do.

/proc/PID/task/TID/stat has the state of a thread: R for a thread that runs or waits for a CPU, another letter for a thread that
sleeps (proc(5)). A thread that polls in a loop, or that waits in user code, is in state R at each check, also on a busy
machine. /proc/PID/task/TID/schedstat has its time on a CPU (Documentation/scheduler/sched-stats.rst).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from probes.patience import PATIENCE

_EVERY = 0.03  # seconds between two checks
_MOMENT, _TWICE = 0.001, 2  # seconds between two checks of `until_asleep`, and how many in a row must find all asleep
_PROOF, _LEAST = 0.25, 0.8  # seconds on a CPU, and seconds of checks: a runtime may compile after much work
_LONGEST = 8.0  # seconds: on a busy machine a thread gets a small part of a CPU


@dataclass(frozen=True)
class Awake:
    """A thread that never slept: its name, the number of checks, their time, and its time on a CPU meanwhile (seconds)."""

    name: str
    looks: int
    seconds: float
    cpu: float

    @property
    def words(self) -> str:
        """The end of a sentence."""
        return (
            f"thread {self.name} never slept: it ran, or waited for a CPU, at each of {self.looks} checks within"
            f" {self.seconds:.1f} s, and used {1e3 * self.cpu:.0f} ms of CPU time"
        )


def until_asleep(process: int, cpu: float) -> bool:
    """Waits until all threads of this process and of its descendants sleep. False: one of them used `cpu` seconds of CPU time,
    or `_LONGEST` seconds have passed (both more on a slow machine).

    A thread that was woken, and waits for a CPU, is in state R. So a server whose threads all sleep has handled everything that
    has arrived at its sockets. Two checks are needed: a thread may wake a thread that was already checked, and then sleep.
    """
    end, first, asleep = time.monotonic() + _LONGEST * PATIENCE, dict[Path, int](), 0
    while asleep < _TWICE:
        running = dict(_running([*_tasks(process), *_threads(process)]))
        first, asleep = running | first, 0 if running else asleep + 1
        if any(now - first[task] > 1e9 * cpu * PATIENCE for task, now in running.items()) or time.monotonic() > end:
            return False
        time.sleep(_MOMENT)
    return True


async def awake(process: int) -> Awake | None:
    """A thread among the descendants of this process that never sleeps; None if each of them was asleep at a check."""
    begin, looks = time.monotonic(), 1
    first = dict(_running(_threads(process)))
    candidates = dict(first)
    while candidates and time.monotonic() < begin + _LONGEST * PATIENCE:
        await asyncio.sleep(_EVERY)
        now = {task: cpu for task, cpu in _running(_threads(process)) if task in candidates}
        candidates, looks = now, looks + 1
        used = {task: (cpu - first[task]) / 1e9 for task, cpu in now.items()}
        worst = max(used, key=lambda task: used[task], default=None)
        seconds = time.monotonic() - begin
        if worst and used[worst] > _PROOF * PATIENCE and seconds > _LEAST * PATIENCE:
            return Awake(_name(worst), looks, seconds, used[worst])
    return None


def _running(tasks: Iterable[Path]) -> Iterator[tuple[Path, int]]:
    """The time on a CPU, ns, of each of these threads that does not sleep now, by the thread's folder in /proc."""
    for task in tasks:
        with contextlib.suppress(OSError, ValueError):
            state = (task / "stat").read_text().rpartition(")")[2].split()[0]
            if state == "R":
                yield task, int((task / "schedstat").read_text().split()[0])


def _tasks(process: int) -> list[Path]:
    """The threads of a process; none if it has ended."""
    with contextlib.suppress(OSError):
        return [*Path(f"/proc/{process}/task").iterdir()]
    return []


def _threads(process: int) -> Iterator[Path]:
    """The threads of the children of a process, and of their children."""
    left = [process]
    while left:
        parent = left.pop()
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                children = (task / "children").read_text().split()
                left += map(int, children)
                for child in children:
                    yield from Path(f"/proc/{child}/task").iterdir()


def _name(task: Path) -> str:
    with contextlib.suppress(OSError):
        return (task / "comm").read_text().strip()
    return task.name
