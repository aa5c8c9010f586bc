"""A thread that can run gets a CPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from findings.properties.property import Cost, Gravity, Observation, Property, broken, held, not_shown, place_of
from findings.spans import Spread
from findings.threads.startup import PHASES, of_run
from findings.view import Run
from probes.context import Throttled, TraceRun
from probes.measure.result import Thread
from probes.words import count, ms, visible
from probes.words import times as count_times

_LONG_NS = 200_000_000  # in all; a busy machine delays any program a little
_SHARE = 0.6  # of the time in which a thread could run
_LEAST_THROTTLED_NS = 20_000_000
_SHARE_THROTTLED = 0.1  # of the time in which the threads could run
_PLACES = 5


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
    throttled = _throttled(run, times)
    if throttled:
        return _by_a_limit(throttled, times)
    starved = [each for each in times if each.starves]
    if not starved:
        return held(_share_without(times))
    if not _in_each_others_way(run, starved):
        return held(f"{_share_without(times)}: other programs had the CPUs")
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


def _share_without(times: Sequence[_Runnable]) -> str:
    without, runnable = sum(each.without for each in times), max(sum(each.ns for each in times), 1)
    return f"the threads could run for {ms(runnable)}, and had no CPU for {without / runnable:.0%} of this time"


def _in_each_others_way(run: Run, starved: Sequence[_Runnable]) -> bool:
    """Would these threads have too little of a CPU if there were no other programs?"""
    ran = Spread((thread.start, thread.end, _on_cpu(thread)) for thread in run.result.threads)
    behind = [(each, min(each.without, _ran_beside(ran, each.thread))) for each in starved]
    own = sum(ns for _, ns in behind)
    return own >= _LONG_NS and own >= _SHARE * sum(ns + max(each.ns - each.without, 0) for each, ns in behind)


def _on_cpu(thread: Thread) -> int:
    return thread.user + thread.kernel + thread.copy


def _ran_beside(ran: Spread, thread: Thread) -> int:
    """For how long the other threads of the program had a CPU while this thread lived, ns."""
    return max(round(ran.within(thread.start, thread.end)) - _on_cpu(thread), 0)


# -- control groups -----------------------------------------------------------------------------------------------------


def _throttled(run: Run, times: Sequence[_Runnable]) -> Throttled | None:
    """The group whose limit cost the threads most. Other processes may share a group: the threads must have waited, too."""
    groups = run.result.context.throttled if isinstance(run.result.context, TraceRun) else ()
    without, runnable = sum(each.without for each in times), sum(each.ns for each in times)
    for group in groups:
        if min(group.ns, without) >= max(_LEAST_THROTTLED_NS, _SHARE_THROTTLED * runnable):
            return group
    return None


def _by_a_limit(group: Throttled, times: Sequence[_Runnable]) -> Observation:
    limit = f" (cpu.max: {ms(group.quota_ns)} in each {ms(group.period_ns)})" if group.quota_ns else ""
    waited = sorted((each for each in times if each.without), key=lambda each: -each.without)
    places = [place_of(each.thread, since=each.thread.start, cost=Cost(ns=each.without)) for each in waited[:_PLACES]]
    return broken(
        f"the control group {visible(group.group)}{limit} was throttled {count_times(group.times)}, for {ms(group.ns)} in all;"
        f" {_share_without(times)}",
        cost=Cost(ns=min(group.ns, sum(each.without for each in waited))),
        places=places,
        remedy=f"raise the limit of the group: write a larger first number into {visible(group.group)}/cpu.max"
        " (cpu.cfs_quota_us in version 1; docker run --cpus, limits.cpu in Kubernetes), or use less CPU time",
    )


def _in_service(run: Run, times: list[_Runnable]) -> list[_Runnable]:
    """The same without the start-up of a program that serves."""
    start = of_run(run.result)
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
