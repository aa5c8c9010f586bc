"""The memory that the control group of this process allows (cgroups(7); cgroup-v2.rst, and memory.rst of version 1)."""

from __future__ import annotations

import re
from pathlib import Path


def _folders() -> list[tuple[Path, str]]:
    """Our group's folder and its own name for the limit, in each hierarchy that limits memory: version 2, version 1."""
    found = []
    groups = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    for mount in Path("/proc/self/mounts").read_text().splitlines():
        _device, place, kind, options, *_ = mount.split()
        for _number, controllers, group in groups:
            if kind == "cgroup2" and not controllers:
                found.append((Path(place) / group.lstrip("/"), "memory.max"))
            elif kind == "cgroup" and "memory" in options.split(",") and "memory" in controllers.split(","):
                found.append((Path(place) / group.lstrip("/"), "memory.limit_in_bytes"))
    # in a container the group's path may be the host's, and the mount is the group itself
    return [*found, (Path("/sys/fs/cgroup"), "memory.max"), (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes")]


def memory_limit() -> int | None:
    """The lowest memory limit of our group and the groups above it, in bytes; None without a limit."""
    limits = []
    for folder, name in _folders():
        for level in (folder, *folder.parents):
            try:
                text = (level / name).read_text().strip()
            except OSError:
                continue
            if text.isdigit() and int(text) < 1 << 60:  # version 1 says "no limit" by a very large number
                limits.append(int(text))
    return min(limits, default=None)


def killed_for_memory() -> bool:
    """Has the kernel's out-of-memory killer ended a process of our group (memory.events, memory.oom_control)?"""
    for folder, _name in _folders():
        for file in ("memory.events", "memory.oom_control"):
            try:
                found = re.search(r"^oom_kill (\d+)$", (folder / file).read_text(), re.MULTILINE)
            except OSError:
                continue
            if found and found[1] != "0":
                return True
    return False
