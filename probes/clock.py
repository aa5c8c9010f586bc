"""The probes' clock, read from Python: CLOCK_MONOTONIC of the kernel itself, also inside a time namespace.

bpf_ktime_get_ns knows no namespaces, clock_gettime adds the offset of the caller's time namespace (time_namespaces(7)).
"""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path

from probes.errors import CannotTrace

_INITIAL_TIME_NAMESPACE = 0xEFFFFFFA  # PROC_TIME_INIT_INO


@cache
def offset_ns() -> int:
    """What this process's CLOCK_MONOTONIC is ahead of the kernel's, ns. Raises CannotTrace where that can't be known."""
    own, children = Path("/proc/self/ns/time"), Path("/proc/self/ns/time_for_children")
    if not own.exists() or own.stat().st_ino == _INITIAL_TIME_NAMESPACE:
        return 0
    if own.stat().st_ino != children.stat().st_ino:  # /proc/self/timens_offsets describes the namespace of the children only
        raise CannotTrace("this process made a time namespace for its children, from within another", "start a new shell there")
    for line in Path("/proc/self/timens_offsets").read_text().splitlines():
        clock, seconds, nanoseconds = line.split()
        if clock == "monotonic":
            return int(seconds) * 10**9 + int(nanoseconds)
    return 0


def now_ns() -> int:
    """Now, on the clock of the probes (ns)."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) - offset_ns()
