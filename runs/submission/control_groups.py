"""The control groups that limit a server's memory, processes and CPU time."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from probes.patience import PATIENCE

MEMORY = 1 << 30  # bytes of all processes of a server together
_CONTROLLERS = {"pids", "memory", "cpu"}
GROUP_LIMITS = {  # of version 2 and of version 1
    "pids.max": "300",
    "memory.max": str(MEMORY),
    "memory.limit_in_bytes": str(MEMORY),
    "memory.swap.max": "0",
    "cpu.weight": "50",  # as half a process, however many there are
    "cpu.shares": "512",
}


def group_folders() -> list[Path]:
    """The control groups below which groups with limits can be made (cgroups(7)): version 2, or three of version 1."""
    found = []
    for mount in Path("/proc/self/mounts").read_text().splitlines():
        _device, place, kind, options, *_ = mount.split()
        limits = kind == "cgroup" and _CONTROLLERS & set(options.split(","))
        if limits or (kind == "cgroup2" and _gives_controllers(Path(place))):
            found.append(Path(place))
    return [folder for folder in found if os.access(folder, os.W_OK)]


def _gives_controllers(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        return set((folder / "cgroup.subtree_control").read_text().split()) >= _CONTROLLERS
    return False


@contextlib.contextmanager
def groups(name: str) -> Iterator[tuple[str, ...]]:
    """Control groups of this name with limits; removed at the end, when their processes have gone."""
    made = []
    try:
        for parent in group_folders():
            _sweep(parent)
            folder = parent / name
            with contextlib.suppress(OSError):
                folder.mkdir()
                made.append(folder)
                for file, value in GROUP_LIMITS.items():
                    if (folder / file).exists():
                        (folder / file).write_text(value)
        yield tuple(str(folder / "cgroup.procs") for folder in made)
    finally:
        for folder in made:
            _remove(folder)


def limit_memory(groups: Sequence[str]) -> bool:
    """Does one of these groups, named by their cgroup.procs, limit the memory of its processes?"""
    files = ("memory.max", "memory.limit_in_bytes")
    return any((Path(group).parent / file).exists() for group in groups for file in files)


def _sweep(parent: Path) -> None:
    """Removes the groups of a runner that was killed: their processes ended with it."""
    for folder in parent.glob("iolab-*-*"):
        pid = folder.name.split("-")[1]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            with contextlib.suppress(OSError):
                folder.rmdir()


def _remove(folder: Path) -> None:
    """A group can be removed when the last of its processes has been reaped: a moment after its end."""
    end = time.monotonic() + 5 * PATIENCE
    while True:
        try:
            folder.rmdir()
            return
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > end:
                return
            time.sleep(0.01)
