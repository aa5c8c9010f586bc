"""What each process did: CPU time beside wall time, calls, bytes and messages, and the rates of them."""

from __future__ import annotations

import collections
from collections.abc import Sequence
from dataclasses import dataclass

from probes.kernel import syscalls
from probes.measure.result import Result, Thread


@dataclass(frozen=True)
class ProcessWork:
    """One process. Times in ns; `cpu` is user code and kernel code (with copying), without the time in the run queue."""

    pid: int
    name: str
    threads: tuple[Thread, ...]
    wall: int
    user: int
    system: int
    wanting: int  # runnable, but without a CPU: in the run queue or preempted
    calls: int
    received: int  # bytes
    sent: int
    messages: int | None  # None: the recording has the messages of a part of the run

    @property
    def cpu(self) -> int:
        """On a CPU."""
        return self.user + self.system

    def rate(self, number: int) -> float:
        """So many a second of the process's life."""
        return number / (self.wall / 1e9) if self.wall else 0.0


def on_cpu(thread: Thread) -> int:
    """How long a thread was on a CPU, ns."""
    return thread.user + thread.kernel + thread.copy


def processes(result: Result) -> tuple[ProcessWork, ...]:
    """Each process, sorted by CPU time, the most first."""
    members: dict[int, list[Thread]] = collections.defaultdict(list)
    for thread in result.threads:
        members[thread.pid].append(thread)
    of = {thread.serial: thread.pid for thread in result.threads}
    received: collections.Counter[int] = collections.Counter()
    sent: collections.Counter[int] = collections.Counter()
    whole = result.details.complete or not result.sums
    for call in result.calls if whole else result.sums:
        if call.bytes and call.thread in of:
            (received if call.name in syscalls.READS else sent)[of[call.thread]] += call.bytes
    messages = collections.Counter(of[message.thread] for message in result.messages if message.thread in of)
    works = [
        _work(pid, threads, received[pid], sent[pid], messages[pid] if whole else None) for pid, threads in members.items()
    ]
    return tuple(sorted(works, key=lambda work: -work.cpu))


def _work(pid: int, threads: Sequence[Thread], received: int, sent: int, messages: int | None) -> ProcessWork:
    leader = next((thread for thread in threads if thread.tid == pid), threads[0])
    return ProcessWork(
        pid=pid,
        name=leader.name,
        threads=tuple(threads),
        wall=max(thread.end for thread in threads) - min(thread.start for thread in threads),
        user=sum(thread.user for thread in threads),
        system=sum(thread.kernel + thread.copy for thread in threads),
        wanting=sum(thread.sched_delay + thread.preempted for thread in threads),
        calls=sum(thread.calls for thread in threads),
        received=received,
        sent=sent,
        messages=messages,
    )
