"""Whether the threads of a server sleep while it has nothing to do, as the kernel's scheduler counts it.

/proc/PID/task/TID/schedstat has the time that a thread was on a CPU, and the time that it waited for a CPU
(Documentation/scheduler/sched-stats.rst). A thread that sleeps adds to neither. A thread that polls in a loop, or that waits in
user code, adds all of the time to the two together, however busy the machine is.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from probes.patience import PATIENCE

_WINDOW = 0.1  # seconds
_AWAKE = 0.8  # of a window
_PROOF = 0.3  # seconds on a CPU: a runtime may still compile, or collect garbage, after a burst of work
_LONGEST = 8.0  # seconds: on a busy machine a thread gets a small part of a CPU


@dataclass(frozen=True)
class Awake:
    """A thread that never slept: its name, and the part of the time in which it ran or waited for a CPU."""

    name: str
    share: float
    seconds: float

    @property
    def words(self) -> str:
        """Of a sentence: "thread server never slept: it ran, or waited for a CPU, for 100% of 1.0 s"."""
        return f"thread {self.name} never slept: it ran, or waited for a CPU, for {self.share:.0%} of {self.seconds:.1f} s"


@dataclass(frozen=True)
class _Times:
    """What the scheduler counted of a thread so far, ns."""

    running: int
    waiting: int  # for a CPU

    @property
    def awake(self) -> int:
        return self.running + self.waiting


async def awake(process: int) -> Awake | None:
    """A thread among the descendants of this process that did not sleep while it was on a CPU for 0.3 s; None: all sleep."""
    begin, first = time.monotonic(), dict(_times(process))
    before, since, candidates = first, begin, set(first)
    while candidates and time.monotonic() < begin + _LONGEST * PATIENCE:
        await asyncio.sleep(_WINDOW)
        now, after = time.monotonic(), dict(_times(process))
        least = _AWAKE * 1e9 * (now - since)
        candidates = {task for task in candidates if task in after and after[task].awake - before[task].awake > least}
        before, since = after, now
        if proven := {task for task in candidates if before[task].running - first[task].running > _PROOF * 1e9 * PATIENCE}:
            worst = max(proven, key=lambda task: before[task].running - first[task].running)
            seconds = since - begin
            return Awake(_name(worst), min((before[worst].awake - first[worst].awake) / 1e9 / seconds, 1.0), seconds)
    return None


def _times(process: int) -> Iterator[tuple[Path, _Times]]:
    """Each thread of the descendants, by its folder in /proc."""
    for task in _threads(process):
        with contextlib.suppress(OSError, ValueError):
            running, waiting, _number = (task / "schedstat").read_text().split()
            yield task, _Times(int(running), int(waiting))


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
