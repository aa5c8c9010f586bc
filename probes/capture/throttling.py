"""How often the kernel throttled the control groups of the traced processes: their threads could run, and had to wait.

A group with a limit (cpu.max; cpu.cfs_quota_us in version 1) that has used its time gets no CPU before the next period, and
neither do the groups below it (kernel/sched/fair.c, throttle_cfs_rq). cpu.stat counts it: nr_throttled, and throttled_usec or
throttled_time.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from probes.context import Throttled

_FIRST, _EVERY = 0.05, 0.5  # seconds between two checks of the groups: at first, and later
_MOST = 64  # processes whose groups are checked


@dataclass(frozen=True)
class _Counts:
    times: int
    ns: int


class Throttling:
    """The groups of some processes and of their children, from the first check on. A process may enter a group later."""

    def __init__(self, pid: int) -> None:
        self._first: dict[Path, _Counts] = {}
        self._latest: dict[Path, _Counts] = {}
        self._limits: dict[Path, tuple[int, int]] = {}
        self._due, self._pause = 0.0, _FIRST
        self.look(pid)

    @property
    def next_look(self) -> float:
        """Seconds until the next check. A program may last less than a second, so the first checks have short pauses."""
        return max(self._due - time.monotonic(), 0.001)

    def look(self, pid: int) -> None:
        """Finds the groups that the process and its children are in now, and reads their counts; not too often."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, _EVERY)
        mounts = _mounts()
        for process in _tree(pid):
            for folder in _folders(process, mounts):
                self._read(folder)

    def _read(self, folder: Path) -> None:
        with contextlib.suppress(OSError, ValueError, KeyError):
            words = dict(line.split() for line in (folder / "cpu.stat").read_text().splitlines())
            ns = int(words["throttled_usec"]) * 1000 if "throttled_usec" in words else int(words["throttled_time"])
            counts = _Counts(int(words["nr_throttled"]), ns)
            self._first.setdefault(folder, counts)
            self._latest[folder] = counts
            if limit := _limit(folder):
                self._limits[folder] = limit

    def since(self) -> tuple[Throttled, ...]:
        """The groups that were throttled since their first look, the longest first."""
        for folder in self._first:
            self._read(folder)
        found = []
        for folder, first in self._first.items():
            latest, (quota, period) = self._latest[folder], self._limits.get(folder, (0, 0))
            if latest.times > first.times:
                found.append(Throttled(str(folder), latest.times - first.times, latest.ns - first.ns, quota, period))
        return tuple(sorted(found, key=lambda group: -group.ns))


def _limit(folder: Path) -> tuple[int, int] | None:
    """The time (ns) that the group may use in each period, and the period (ns); None without a limit."""
    with contextlib.suppress(OSError, ValueError):
        quota, period = map(int, (folder / "cpu.max").read_text().split())
        return quota * 1000, period * 1000
    with contextlib.suppress(OSError, ValueError):
        quota, period = (int((folder / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
        return (quota * 1000, period * 1000) if quota > 0 else None
    return None


def _mounts() -> dict[bool, Path]:
    """Where the hierarchies are mounted that may limit CPU time: by version 2 (True), and by version 1."""
    found: dict[bool, Path] = {}
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/mounts").read_text().splitlines():
            _device, place, kind, options, *_ = line.split()
            if kind == "cgroup2":
                found.setdefault(True, Path(place))
            elif kind == "cgroup" and "cpu" in options.split(","):
                found.setdefault(False, Path(place))
    return found


def _folders(pid: int, mounts: dict[bool, Path]) -> Iterator[Path]:
    """The folders of a process's groups, and of the groups above them."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _number, controllers, group = line.split(":", 2)
        mount = mounts.get(not controllers)
        if mount and (not controllers or "cpu" in controllers.split(",")):
            folder = mount / group.lstrip("/")
            yield from (level for level in (folder, *folder.parents) if level == mount or mount in level.parents)


def _tree(pid: int) -> list[int]:
    """The process and its descendants; this process alone if it is the one (its child starts in the same group)."""
    found = [pid]
    for process in found:
        if pid == os.getpid() or len(found) >= _MOST:
            break
        with contextlib.suppress(OSError):
            for children in Path(f"/proc/{process}/task").glob("*/children"):
                found += map(int, children.read_text().split())
    return found[:_MOST]
