"""A thread that can run gets a CPU."""

from __future__ import annotations

from dataclasses import dataclass

from findings.properties.property import Cost, Gravity, Observation, Property, broken, held, not_shown, place_of
from findings.roles import roles
from findings.startup import PHASES, start_up
from findings.view import Run
from probes.context import TraceRun
from probes.measure.result import Thread
from probes.words import count, ms

_LONG_NS = 200_000_000  # in all; a busy machine delays any program a little
_SHARE = 0.6  # of the time in which a thread could run


@dataclass(frozen=True)
class _Runnable:
    """A thread's time in which it could run, and how much of it the thread had no CPU, ns."""

    thread: Thread
    ns: int
    after_wake_ups: int
    preempted: int

    @property
    def without(self) -> int:
        return self.after_wake_ups + self.preempted

    @property
    def starves(self) -> bool:
        """Did it have no CPU for long, and for most of this time?"""
        return self.without >= _LONG_NS and self.without >= _SHARE * self.ns


def observe(run: Run) -> Observation:
    """Compares each thread's time without a CPU, though it could run, with its time on a CPU. The start-up is left out."""
    threads = [thread for thread in run.result.threads if not thread.kernel_worker]
    if not threads:
        return not_shown("no thread was followed")
    times = [_Runnable(thread, thread.wall - thread.wait, thread.sched_delay, thread.preempted) for thread in threads]
    if any(each.starves for each in times) and isinstance(run.result.context, TraceRun):
        times = _in_service(run, times)
    starved = [each for each in times if each.starves]
    if not starved:
        without, runnable = sum(each.without for each in times), max(sum(each.ns for each in times), 1)
        return held(f"the threads could run for {ms(runnable)}, and had no CPU for {without / runnable:.0%} of this time")
    without, runnable = sum(each.without for each in starved), sum(each.ns for each in starved)
    after_wake_ups, preempted = sum(each.after_wake_ups for each in starved), sum(each.preempted for each in starved)
    return broken(
        f"{count(len(starved), 'thread')} had no CPU for {without / runnable:.0%} of the {ms(runnable)} in which"
        f" {'it' if len(starved) == 1 else 'they'} could run: {ms(after_wake_ups)} after wake-ups, {ms(preempted)} preempted",
        places=[
            place_of(each.thread, since=each.thread.start, cost=Cost(ns=each.without, calls=each.thread.involuntary_switches))
            for each in starved
        ],
    )


def _in_service(run: Run, times: list[_Runnable]) -> list[_Runnable]:
    """The same without the start-up of a program that serves."""
    start = start_up(run.result, roles(run.result))
    if start is None:
        return times
    wall, wait, delay, preempted = (PHASES.index(phase) for phase in ("wall", "wait", "sched_delay", "preempted"))
    found = []
    for each in times:
        spent = start.spent.get(each.thread.serial, (0,) * len(PHASES))
        ns = max(each.ns - spent[wall] + spent[wait], 0)
        found.append(_Runnable(each.thread, ns, each.after_wake_ups - spent[delay], each.preempted - spent[preempted]))
    return found


GETS_A_CPU = Property(
    id="gets-a-cpu",
    statement="a thread that can run gets a CPU",
    fault="a thread that can run gets no CPU",
    remedy="run no more computing threads than there are CPUs, raise the cgroup's limit (cpu.max), or stop other programs",
    observe=observe,
    gravity=Gravity.LATE,
)
