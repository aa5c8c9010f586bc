"""The start-up of a program, kept apart from its service: it loads, reads its configuration, creates its threads.

A process begins to serve with its first wait in an event loop or for a connection. A process that never waits like that, and
that ended before the first one served, belongs to the start-up. A program in which no process serves has no start-up.
"""

from __future__ import annotations

import collections
import operator
from collections.abc import Mapping
from dataclasses import dataclass

from probes.kernel import syscalls
from probes.measure.result import Call, Result

_SERVES = syscalls.LOOP_WAITS | syscalls.ACCEPTS
PHASES = ("wall", "user", "wait", "sched_delay", "preempted", "copy", "kernel")  # fields of Thread; the first is the sum
_OF_CALLS = operator.attrgetter("wait", "sched_delay", "preempted", "copy", "kernel")


@dataclass(frozen=True)
class StartUp:
    """What came before the service. `begins`: the first moment of service of each process, ns; `spent`: the times of each
    thread before that, in the order of PHASES.
    """

    begins: Mapping[int, int]
    spent: Mapping[int, tuple[int, ...]]
    calls: tuple[Call, ...]
    errors: Mapping[str, int]  # "openat ENOENT": how often
    ns: int  # from the first thread's start to the first service
    processes: int  # that ended before the first service

    @property
    def count(self) -> int:
        """How many calls were made."""
        return sum(call.count for call in self.calls)

    def has(self, pid: int, moment: int) -> bool:
        """Did that process not yet serve then? What ended before the first service counts as start-up."""
        return moment < self.begins.get(pid, self.first)

    @property
    def first(self) -> int:
        """When the first process began to serve, ns."""
        return min(self.begins.values())


def start_up(result: Result) -> StartUp | None:
    """The start-up of the run; None where no process serves."""
    process = {thread.serial: thread.pid for thread in result.threads}
    begins: dict[int, int] = {}
    for call in result.calls:
        if call.name in _SERVES and process[call.thread] not in begins:
            begins[process[call.thread]] = call.enter
    if not begins:
        return None
    first = min(begins.values())
    calls = tuple(call for call in result.calls if call.enter < begins.get(process[call.thread], first))
    errors: collections.Counter[str] = collections.Counter()
    for call in calls:
        if call.errno:
            errors[f"{call.name} {call.errno}"] += call.count
    ended = {thread.pid for thread in result.threads if thread.end < first} - set(begins)
    return StartUp(
        begins=begins,
        spent=_spent(result, begins, first, calls),
        calls=calls,
        errors=dict(errors.most_common()),
        ns=first - min(thread.start for thread in result.threads),
        processes=len(ended),
    )


def _spent(result: Result, begins: Mapping[int, int], first: int, calls: tuple[Call, ...]) -> dict[int, tuple[int, ...]]:
    """The times of each thread before its service. Time between calls counts as user code, as far as the thread had any."""
    inside: dict[int, list[int]] = {}
    for call in calls:
        sums = inside.setdefault(call.thread, [0] * 5)
        for index, ns in enumerate(_OF_CALLS(call)):
            sums[index] += ns
    spent = {}
    for thread in result.threads:
        begin = begins.get(thread.pid, first)
        if thread.end <= begin:
            spent[thread.serial] = tuple(int(getattr(thread, phase)) for phase in PHASES)
        elif thread.start < begin:
            phases = inside.get(thread.serial, [0] * 5)
            user = min(max(begin - thread.start - sum(phases), 0), thread.user)
            spent[thread.serial] = (user + sum(phases), user, *phases)
    return spent
