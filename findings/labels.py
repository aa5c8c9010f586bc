"""Short names for the threads and groups of a run, each different from the others."""

from __future__ import annotations

from functools import cached_property

from findings.groups import Group
from probes.measure.result import Result, Thread
from probes.words import count

_NAMED = 3  # ids that are listed


class Labels:
    """Names for the threads of one run, and for groups of them."""

    def __init__(self, result: Result, groups: tuple[Group, ...]) -> None:
        self._result = result
        self._groups = groups

    @cached_property
    def _leaders(self) -> dict[int, Thread]:
        leaders: dict[int, Thread] = {}
        for thread in self._result.threads:
            if thread.tid == thread.pid or thread.pid not in leaders:
                leaders[thread.pid] = thread
        return leaders

    @cached_property
    def _group_of(self) -> dict[int, Group]:
        return {thread.serial: group for group in self._groups for thread in group.threads}

    def thread(self, thread: Thread) -> str:
        """The thread's name and id; a thread that is not its process's first has the process, too, if the names differ."""
        return f"{thread.name} {thread.tid}"

    def group(self, group: Group) -> str:
        """As in "nginx 12", "2 processes nginx (12, 13)", "7 threads of python3 12", "40 short-lived processes"."""
        first, pids = group.threads[0], group.pids
        if group.short_lived:
            return count(len(pids), "short-lived process")
        if self._leaders[first.pid].serial == first.serial:
            return self.thread(first) if len(pids) == 1 else f"{count(len(pids), 'process')} {group.name} ({_ids(pids)})"
        number = len(group.threads)
        own = group.name != self._leaders[first.pid].name
        kind = f"{count(number, 'io_uring worker')}" if first.kernel_worker else count(number, "thread")
        name = f" {group.name}" if own and not first.kernel_worker else ""
        return (
            f"{kind}{name} of {self._processes(pids)}"
            if number > 1
            else f"thread {self.thread(first)} of {self._processes(pids)}"
        )

    def _processes(self, pids: tuple[int, ...]) -> str:
        name = self._leaders[pids[0]].name
        return f"{name} {pids[0]}" if len(pids) == 1 else f"{count(len(pids), 'process')} {name}"

    def waker(self, serial: int, woken: Group | None = None) -> str:
        """The group of a thread that woke threads of the group `woken`."""
        waker = self._group_of[serial]
        if woken and len(woken.threads) > 1 and serial in {thread.serial for thread in woken.threads}:
            return "one another"
        return self.group(waker)


def _ids(pids: tuple[int, ...]) -> str:
    """As in "12, 13"; of many ids the first ones and the last."""
    listed = list(map(str, pids))
    return ", ".join(listed) if len(listed) <= _NAMED else f"{', '.join(listed[: _NAMED - 1])} ... {listed[-1]}"
