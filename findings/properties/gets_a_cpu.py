"""A thread that can run gets a CPU."""

from __future__ import annotations

from findings.properties.property import Cost, Gravity, Observation, Property, broken, held, not_shown, place_of
from findings.view import Run
from probes.measure.result import Thread
from probes.words import count, ms

_LONG_NS = 200_000_000  # in all; a busy machine delays any program a little
_SHARE = 0.6  # of the time in which a thread could run


def observe(run: Run) -> Observation:
    """Compares each thread's time without a CPU, though it could run, with its time on a CPU."""
    threads = [thread for thread in run.result.threads if not thread.kernel_worker]
    if not threads:
        return not_shown("no thread was followed")
    starved = [thread for thread in threads if _without(thread) >= _LONG_NS and _without(thread) >= _SHARE * _runnable(thread)]
    if not starved:
        without, runnable = sum(map(_without, threads)), max(sum(map(_runnable, threads)), 1)
        return held(f"the threads could run for {ms(runnable)}, and were without a CPU for {without / runnable:.0%} of it")
    without, runnable = sum(map(_without, starved)), sum(map(_runnable, starved))
    after_wake_ups = ms(sum(thread.sched_delay for thread in starved))
    return broken(
        f"{count(len(starved), 'thread')} had no CPU for {without / runnable:.0%} of the {ms(runnable)} in which"
        f" {'it' if len(starved) == 1 else 'they'} could run: {after_wake_ups} after wake-ups,"
        f" {ms(sum(thread.preempted for thread in starved))} preempted",
        places=[
            place_of(thread, None, None, thread.start, Cost(ns=_without(thread), calls=thread.involuntary_switches))
            for thread in starved
        ],
    )


def _without(thread: Thread) -> int:
    return thread.sched_delay + thread.preempted


def _runnable(thread: Thread) -> int:
    return thread.wall - thread.wait


GETS_A_CPU = Property(
    id="gets-a-cpu",
    statement="a thread that can run gets a CPU",
    remedy="run no more computing threads than there are CPUs, raise the cgroup's limit (cpu.max), or stop other programs",
    observe=observe,
    gravity=Gravity.LATE,
)
