"""What a server uses: its threads, memory and CPU time, from the processes below the init of its namespace."""

from __future__ import annotations

import contextlib

import psutil


def threads(init: int) -> int:
    """The threads of the server and of all that it started."""
    number = 0
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(init).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                number += process.num_threads()
    return number


def memory(init: int) -> int:
    """The memory of the server and of all that it started, bytes, shared memory in parts (PSS)."""
    total = 0
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(init).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                total += int(process.memory_full_info().pss)
    return total


def cpu_seconds(init: int) -> float:
    """The CPU time of the server's processes that run."""
    total = 0.0
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(init).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                total += times.user + times.system
    return total
