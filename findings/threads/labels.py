"""Short names for the threads of a run and for their groups, each different from the others."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from findings.threads.groups import Group
from findings.threads.roles import Role
from probes.measure.result import Result, Thread
from probes.words import count

_NAMED = 3  # ids that are listed


class Labels:
    """Names for the threads of one run, and for groups of them."""

    def __init__(self, result: Result, groups: tuple[Group, ...]) -> None:
        self._result = result
        self._groups = groups

    @cached_property
    def _group_of(self) -> dict[int, Group]:
        return {thread.serial: group for group in self._groups for thread in group.threads}

    @cached_property
    def _alone(self) -> set[int]:
        """The processes with one thread."""
        pids = [thread.pid for thread in self._result.threads]
        return {pid for pid in pids if pids.count(pid) == 1}

    def thread(self, thread: Thread) -> str:
        """The thread's name and id."""
        return f"{thread.name} {thread.tid}"

    def group(self, group: Group) -> str:
        """As in "2 workers of nginx", "event loop of redis-server 12", "ls 12", "40 short-lived processes"."""
        pids = group.pids
        if group.short_lived:
            return count(len(pids), "short-lived process")
        if group.role is Role.MAIN and set(pids) <= self._alone:
            return (
                f"{group.process} {pids[0]}"
                if len(pids) == 1
                else f"{count(len(pids), 'process')} {group.process} ({ids(pids)})"
            )
        return self._kind(group) + f" of {group.process}" + (f" {pids[0]}" if len(pids) == 1 else "")

    def _kind(self, group: Group) -> str:
        """The role and the name of the threads, without their processes."""
        noun = group.words.removeprefix("1 ")
        if group.role in (Role.MAIN, Role.IDLE) and len(group.threads) == 1:
            noun = f"{group.role} thread"
        return noun if group.name == group.process else f"{noun} {group.name}"

    def waker(self, serial: int, woken: Group | None = None) -> str:
        """The group of a thread that woke threads of the group `woken`; without their process if that is the same."""
        waker = self._group_of.get(serial)
        if waker is None:  # in a damaged recording a process may be its own parent: it is in no tree
            return f"thread {serial}"
        if woken and len(woken.threads) > 1 and serial in {thread.serial for thread in woken.threads}:
            return "one another"
        same = woken is not None and not waker.short_lived and waker.pids == woken.pids and len(waker.pids) == 1
        words = self._kind(waker) if same else self.group(waker)
        return f"the {words}" if words.startswith(waker.role) else words


def ids(numbers: Sequence[int]) -> str:
    """As in "12, 13"; of many ids the first ones and the last.

    >>> ids([12, 13]), ids(range(10, 20))
    ('12, 13', '10, 11 ... 19')
    """
    listed = list(map(str, numbers))
    return ", ".join(listed) if len(listed) <= _NAMED else f"{', '.join(listed[: _NAMED - 1])} ... {listed[-1]}"
