"""Threads of a kind, folded: two hundred threads of a pool are one line of a report.

Threads are of a kind if their processes are, if they have names alike, and if they wait longest in the same place. Processes
are of a kind if their first threads are. What ended early and received nothing is short-lived, whatever its kind.
"""

from __future__ import annotations

import collections
import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from findings.startup import PHASES, StartUp
from findings.where import Slept, Where
from probes.measure.result import Thread

_SHORT = 5  # a process that lived less than one part in so many of the run is short-lived


@dataclass(frozen=True)
class Group:
    """Threads of a kind with their sleeps. `life`: how long they served, and each phase of that, by the fields of Thread."""

    name: str
    threads: tuple[Thread, ...]
    slept: tuple[Slept, ...]
    life: dict[str, int]
    messages: int
    short_lived: bool = False

    @property
    def pids(self) -> tuple[int, ...]:
        """The ids of their processes, in order."""
        return tuple(sorted({thread.pid for thread in self.threads}))

    @property
    def busy(self) -> int:
        """Their time on a CPU, ns."""
        return self.life["user"] + self.life["kernel"] + self.life["copy"]


def groups(where: Where, start: StartUp | None) -> tuple[Group, ...]:
    """All threads of the run by their kinds: the kind that worked most first, what is short-lived last."""
    found = _Kinds(where, start)
    folded: dict[Hashable, list[Thread]] = collections.defaultdict(list)
    for thread in where.result.threads:
        folded[found.kind(thread)].append(thread)
    made = [found.group(threads) for threads in folded.values()]
    return tuple(sorted(made, key=lambda group: (group.short_lived, not group.messages, -group.busy)))


class _Kinds:
    """The kind of each thread of one run."""

    def __init__(self, where: Where, start: StartUp | None) -> None:
        self._where = where
        self._spent = start.spent if start else {}
        threads = where.result.threads
        self._leaders: dict[int, Thread] = {}
        for thread in threads:
            if thread.tid == thread.pid or thread.pid not in self._leaders:
                self._leaders[thread.pid] = thread
        self._messages = collections.Counter(message.thread for message in where.result.messages)
        self._short = self._short_lived(start)

    def _short_lived(self, start: StartUp | None) -> set[int]:
        """The processes that lived a short time of the run, without a message and without service."""
        lives: dict[int, list[int]] = collections.defaultdict(list)
        for thread in self._where.result.threads:
            lives[thread.pid] += [thread.start, thread.end]
        moments = [moment for life in lives.values() for moment in life]
        span = max(moments, default=0) - min(moments, default=0)
        serving = set(start.begins if start else ())
        serving |= {thread.pid for thread in self._where.result.threads if self._messages[thread.serial]}
        return {pid for pid, life in lives.items() if pid not in serving and _SHORT * (max(life) - min(life)) < span}

    def kind(self, thread: Thread) -> Hashable:
        """Equal for threads of a kind."""
        leader = self._leaders[thread.pid]
        if thread.pid in self._short:
            return "short-lived"
        process = _stem(leader.name), self._place(leader), leader.parent == 0
        if thread is leader:
            return process
        return process, _stem(thread.name), self._place(thread), thread.kernel_worker

    def _place(self, thread: Thread) -> tuple[str, str]:
        """Where the thread slept longest."""
        slept = self._where.of(thread)
        return (slept[0].call, slept[0].queue) if slept else ("", "")

    def group(self, threads: Sequence[Thread]) -> Group:
        """These threads as one group."""
        before = [self._spent.get(thread.serial, (0,) * len(PHASES)) for thread in threads]
        life = {
            phase: sum(int(getattr(thread, phase)) - spent[index] for thread, spent in zip(threads, before, strict=True))
            for index, phase in enumerate(PHASES)
        }
        return Group(
            name=threads[0].name if len({thread.name for thread in threads}) == 1 else f"{_stem(threads[0].name)}*",
            threads=tuple(threads),
            slept=self._where.of(*threads),
            life=life,
            messages=sum(self._messages[thread.serial] for thread in threads),
            short_lived=threads[0].pid in self._short,
        )


def _stem(name: str) -> str:
    """A name without the number that tells it from others of its kind.

    >>> _stem("pool-1-thread-12"), _stem("worker/3:1"), _stem("7")
    ('pool-1-thread', 'worker', '7')
    """
    return re.sub(r"[-_/#.: ]*[\d:]+$", "", name) or name
