"""What this machine can isolate: its namespaces, the change of the user, and the words for what is not protected."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import threading
from pathlib import Path

from runs import seccomp
from runs.sandbox import NAMESPACES
from runs.submission import control_groups

_asking = threading.Lock()  # functools.cache alone calls the function again until the first result is there
_ASK = "import sys; sys.path.insert(0, sys.argv[1]); from runs.sandbox import refused; print(*refused())"


def missing() -> tuple[str, ...]:
    """The kinds of namespaces that this machine refuses. They are tried once, also if several servers start at once."""
    with _asking:
        return _asked()


@functools.cache
def _asked() -> tuple[str, ...]:
    """The kinds that another process tried without success; all kinds if that process failed."""
    line = [sys.executable, "-I", "-S", "-B", "-c", _ASK, str(Path(__file__).parents[2])]
    tried = subprocess.run(line, capture_output=True, text=True, check=False)
    return tuple(tried.stdout.split()) if tried.returncode == 0 else tuple(NAMESPACES)


_LOST = {
    "mount": "the server can write where its user can, and sees all files that its user may read",
    "uts": "the server could rename the machine if it had the privilege",
    "ipc": "the server shares System V IPC with the machine",
    "pid": "a process that the server starts is found by its parents only, and may send signals to processes of its user",
    "net": "the server is on the machine's own network, and a port may be taken by another program",
}


def unprotected(strict: bool) -> list[str]:
    """What this machine cannot protect, in sentences; for `strict` also what an ordinary check does without."""
    words = [f"this machine refuses a {name} namespace: {_LOST[name]}" for name in missing()]
    if strict and not may_change_user():
        words.append("iolab may not change the user (CAP_SETUID): the server runs as the same user as iolab")
    if strict and (why := seccomp.missing(os.uname().machine)):
        words.append(f"{why}: the server may make every system call that its user may make")
    if strict and not control_groups.group_folders():
        words.append(
            "no control group can be made here: iolab checks the memory of a server 20 times a second, and ends a server above"
            f" {control_groups.MEMORY >> 20:,} MB; the CPU time of all servers together has no limit"
        )
    return words


_CAP_SETUID = 7  # uapi: capability.h


def may_change_user() -> bool:
    """Does this process have CAP_SETUID? In the container image it has, also where it is not root."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> _CAP_SETUID & 1)
    return False
