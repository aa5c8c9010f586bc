"""The start-up of a program, kept apart from its service: it loads, reads its configuration, creates its threads.

A process of a server begins to serve with its first wait for clients (findings/threads/roles.py). A process of another program
begins to serve with its first wait in an event loop. A process without such a wait belongs to the start-up if it ended before
the first process served.
"""

from __future__ import annotations

import collections
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from findings.once import once
from findings.threads.roles import Roles, roles
from probes.kernel import syscalls
from probes.measure.result import Call, Result

PHASES = ("wall", "user", "wait", "sched_delay", "preempted", "copy", "kernel")  # fields of Thread; the first is the sum


@dataclass(frozen=True)
class StartUp:
    """What came before the service. `begins`: the first moment of service of each process, ns, by the process's serial number;
    `spent`: the times of each thread before that, in the order of PHASES.
    """

    begins: Mapping[int, int]
    process_of: Mapping[int, int]
    spent: Mapping[int, tuple[int, ...]]
    calls: tuple[Call, ...]
    errors: Mapping[str, int]  # "openat ENOENT": how often
    ns: int  # from the first thread's start to the first service
    processes: int  # that ended before the first service

    @property
    def count(self) -> int:
        """How many calls were made."""
        return sum(call.count for call in self.calls)

    def has(self, call: Call) -> bool:
        """Did the call end before its process served a client or, if that process has no client, before the first service?"""
        return call.exit <= self._until[call.thread]

    @cached_property
    def _until(self) -> dict[int, int]:
        """The end of the start-up for each thread, ns."""
        return {thread: self.begins.get(process, self.first) for thread, process in self.process_of.items()}

    @cached_property
    def first(self) -> int:
        """When the first process began to serve, ns."""
        return min(self.begins.values())


@once
def of_run(result: Result) -> StartUp | None:
    """The start-up of the run, by its own roles."""
    return start_up(result, roles(result))


def start_up(result: Result, roles: Roles) -> StartUp | None:
    """The start-up of the run; None where no process serves."""
    process = roles.process_of
    begins = dict(roles.service) or _loops(result, process)
    if not begins:
        return None
    first = min(begins.values())
    calls = tuple(call for call in result.calls if call.exit <= begins.get(process[call.thread], first))
    errors: collections.Counter[str] = collections.Counter()
    for call in calls:
        if call.errno:
            errors[f"{call.name} {call.errno}"] += call.count
    ended = {process[thread.serial] for thread in result.threads if thread.end < first} - set(begins)
    return StartUp(
        begins=begins,
        process_of=process,
        spent=_spent(result, _begins(result, {thread: begins.get(own, first) for thread, own in process.items()}), calls),
        calls=calls,
        errors=dict(errors.most_common()),
        ns=first - min(thread.start for thread in result.threads),
        processes=len(ended),
    )


def _begins(result: Result, begins: Mapping[int, int]) -> dict[int, int]:
    """When each thread began to serve: a call that was under way when its process began to serve belongs to the service."""
    found = dict(begins)
    for call in result.calls:
        if call.enter < begins[call.thread] < call.exit:
            found[call.thread] = min(found[call.thread], call.enter)
    return found


def _loops(result: Result, process: Mapping[int, int]) -> dict[int, int]:
    """When each process first waited in an event loop; for programs without clients."""
    begins: dict[int, int] = {}
    for call in result.calls:
        if call.name in syscalls.LOOP_WAITS:
            begins.setdefault(process[call.thread], call.enter)
    return begins


def _spent(result: Result, begins: Mapping[int, int], calls: tuple[Call, ...]) -> dict[int, tuple[int, ...]]:
    """The times of each thread before its service.

    No record says when a thread was off its CPU between its calls. So the time between the calls of the start-up is divided as
    the time between all calls of the thread is.
    """
    before, of_all = _sums(calls), _sums(result.calls)
    spent = {}
    for thread in result.threads:
        life = tuple(int(getattr(thread, phase)) for phase in PHASES)
        begin, inside = begins[thread.serial], before[thread.serial]
        if thread.end <= begin:
            spent[thread.serial] = life
        elif thread.start < begin:
            between = max(begin - thread.start - sum(inside), 0)
            outside = [max(whole - ns, 0) for whole, ns in zip(life[1:], of_all[thread.serial], strict=True)]
            shares = [between * ns // max(sum(outside), between, 1) for ns in outside]
            phases = tuple(ns + share for ns, share in zip(inside, shares, strict=True))
            spent[thread.serial] = (sum(phases), *phases)
    return spent


def _sums(calls: tuple[Call, ...]) -> dict[int, list[int]]:
    """The phases of each thread's calls, added up, in the order of PHASES; they have no user code."""
    sums: dict[int, list[int]] = collections.defaultdict(lambda: [0] * (len(PHASES) - 1))
    for call in calls:
        own = sums[call.thread]
        own[1] += call.wait
        own[2] += call.sched_delay
        own[3] += call.preempted
        own[4] += call.copy
        own[5] += call.kernel
    return sums
