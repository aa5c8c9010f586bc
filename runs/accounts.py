"""The kernel's own accounts of a server: CPU time, switches, memory. Checks compare the measured figures with them."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from probes.context import Witness

_CPUCLOCK_SCHED = 2  # the CPU-time clock of another process (man 3 clock_getcpuclockid)


@dataclass(frozen=True)
class Accounts:
    """The kernel's own accounts of a process and its threads at one moment."""

    user_s: float
    system_s: float
    voluntary_switches: int
    involuntary_switches: int
    cpu_ns: int
    run_delay_ns: int
    threads: int


def accounts(pid: int) -> Accounts:
    """The accounts, by psutil and /proc/PID/task/*/schedstat."""
    process = psutil.Process(pid)
    with process.oneshot():
        times, switches = process.cpu_times(), process.num_ctx_switches()
        threads = process.num_threads()
    delays = 0
    for tid in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # the thread has just ended
            delays += int(Path(f"/proc/{pid}/task/{tid}/schedstat").read_text().split()[1])
    return Accounts(
        user_s=times.user,
        system_s=times.system,
        voluntary_switches=switches.voluntary,
        involuntary_switches=switches.involuntary,
        cpu_ns=cpu_ns(pid),
        run_delay_ns=delays,
        threads=threads,
    )


def witness(pid: int, before: Accounts) -> Witness:
    """The growth of the kernel's accounts of a process since `before`, and the memory that it has now."""
    after = accounts(pid)
    process = psutil.Process(pid)
    return Witness(
        user_s=after.user_s - before.user_s,
        system_s=after.system_s - before.system_s,
        voluntary_switches=after.voluntary_switches - before.voluntary_switches,
        involuntary_switches=after.involuntary_switches - before.involuntary_switches,
        cpu_ns=after.cpu_ns - before.cpu_ns,
        run_delay_ns=after.run_delay_ns - before.run_delay_ns,
        more_threads=after.threads - before.threads,
        rss_bytes=process.memory_info().rss,
        memory_bytes=memory_of_all(pid),
    )


def cpu_ns(pid: int) -> int:
    """The CPU time of a process, ns, also of its threads that have ended."""
    return time.clock_gettime_ns(~pid << 3 | _CPUCLOCK_SCHED)


def memory_of_all(pid: int) -> int:
    """The memory of a process and of all its descendants, bytes."""
    process = psutil.Process(pid)
    return sum(map(_memory, [process, *process.children(recursive=True)]))


def _memory(process: psutil.Process) -> int:
    """Bytes of memory (PSS: a page that n processes share counts as 1/n); 0 for a process that has just ended."""
    try:
        return int(process.memory_full_info().pss)
    except psutil.NoSuchProcess:
        return 0
