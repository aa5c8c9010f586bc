"""The threads of one role, folded, with where they waited: two hundred threads of a pool are one line of a report.

What ended early and received nothing is short-lived, whatever its role.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from findings.sleeps.where import Slept, Where
from findings.threads.roles import ProcessGroup, Role, Roles, ThreadGroup
from findings.threads.startup import PHASES, StartUp
from probes.measure.result import Thread
from probes.words import count

_SHORT = 5  # a process that lived less than one part in so many of the run is short-lived
_NO_SERVICE = {Role.MAIN, Role.IDLE, Role.HELPER}  # roles of processes that may be short-lived


@dataclass(frozen=True)
class Group:
    """Threads of one role with their sleeps. `life`: how long they served, and each phase of that, by the fields of Thread.

    `processes`: the name of their processes; `words`: the role with the number of threads.
    """

    role: Role
    words: str
    name: str
    process: str
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
    def held_up(self) -> int:
        """How long they were asleep while work waited, ns (findings/sleeps/idle.py); where details are a part, an estimate."""
        return sum(slept.held_up or slept.held_up_estimate or 0 for slept in self.slept)

    @property
    def estimated(self) -> bool:
        """Is `held_up` an estimate?"""
        return any(slept.held_up_estimate is not None for slept in self.slept)

    @property
    def busy(self) -> int:
        """Their time on a CPU, ns."""
        return self.life["user"] + self.life["kernel"] + self.life["copy"]


def groups(where: Where, start: StartUp | None, roles: Roles) -> tuple[Group, ...]:
    """All threads of the run by their roles: what serves clients first, then what worked most; idle threads, and what is
    short-lived, last.
    """
    return tuple(sorted(_Folding(where, start, roles).groups(), key=_order))


def _order(group: Group) -> tuple[bool, bool, bool, int]:
    serves = group.messages > 0 and group.role is not Role.CLIENT
    return group.short_lived, group.role is Role.IDLE, not serves, -group.busy


class _Folding:
    def __init__(self, where: Where, start: StartUp | None, roles: Roles) -> None:
        self._where, self._roles = where, roles
        self._spent = start.spent if start else {}
        self._threads = {thread.serial: thread for thread in where.result.threads}
        self._messages = collections.Counter(message.thread for message in where.result.messages)
        self._short = self._short_lived(start)

    def _short_lived(self, start: StartUp | None) -> set[int]:
        """The processes that lived for a short part of the run, and served no client."""
        lives: dict[int, list[int]] = collections.defaultdict(list)
        working = set(start.begins if start else ())
        for thread in self._threads.values():
            process = self._roles.process_of[thread.serial]
            lives[process] += [thread.start, thread.end]
            if self._roles.role_of[thread.serial] not in _NO_SERVICE or self._messages[thread.serial]:
                working.add(process)
        moments = [moment for life in lives.values() for moment in life]
        span = max(moments, default=0) - min(moments, default=0)
        return {
            process for process, life in lives.items() if process not in working and _SHORT * (max(life) - min(life)) < span
        }

    def groups(self) -> Iterator[Group]:
        """The groups in the order of the tree."""
        brief: list[int] = []
        for processes, threads in _leaves(self._roles.tree):
            lasting = [serial for serial in threads.threads if self._roles.process_of[serial] not in self._short]
            brief += [serial for serial in threads.threads if self._roles.process_of[serial] in self._short]
            if here := self._present(lasting):
                yield self._group(processes, threads, here)
        if here := self._present(brief):
            yield self._group(self._roles.tree[0], self._roles.tree[0].threads[0], here, short_lived=True)

    def _present(self, serials: Iterable[int]) -> list[Thread]:
        """The threads that the part of the run has."""
        return [self._threads[serial] for serial in serials if serial in self._threads]

    def _group(self, processes: ProcessGroup, kind: ThreadGroup, threads: list[Thread], short_lived: bool = False) -> Group:
        before = [self._spent.get(thread.serial, (0,) * len(PHASES)) for thread in threads]
        life = {
            phase: sum(int(getattr(thread, phase)) - spent[index] for thread, spent in zip(threads, before, strict=True))
            for index, phase in enumerate(PHASES)
        }
        serials = tuple(thread.serial for thread in threads)
        return Group(
            role=kind.role,
            words=_words(kind, serials),
            name=kind.name,
            process=processes.name,
            threads=tuple(threads),
            slept=self._where.of(*threads),
            life=life,
            messages=sum(self._messages[serial] for serial in serials),
            short_lived=short_lived,
        )


def _words(kind: ThreadGroup, serials: tuple[int, ...]) -> str:
    if kind.role is Role.MAIN and len(serials) > 1:
        return count(len(serials), "main thread")
    return ThreadGroup(kind.role, kind.name, serials, kind.mechanism).words


def _leaves(tree: Iterable[ProcessGroup]) -> Iterator[tuple[ProcessGroup, ThreadGroup]]:
    """The kinds of threads of all processes; the idle threads of a process are one kind, whatever their names."""
    for processes in tree:
        for threads in processes.threads:
            if threads.role is not Role.IDLE:
                yield processes, threads
        if idle := [threads for threads in processes.threads if threads.role is Role.IDLE]:
            yield processes, _together(idle, processes.name)
        yield from _leaves(processes.children)


def _together(kinds: Sequence[ThreadGroup], process: str) -> ThreadGroup:
    """The idle threads of one process as one kind; threads of several names have the name of the process."""
    name = kinds[0].name if len(kinds) == 1 else process
    return ThreadGroup(Role.IDLE, name, tuple(serial for kind in kinds for serial in kind.threads), None)
