"""A thread of a server sleeps while its clients send nothing: it does not wait in user code for a variable to change."""

from __future__ import annotations

from findings.properties.property import Cost, Observation, Property, broken, held, not_shown, place_of
from findings.view import Run
from probes.context import LabRun
from probes.measure.result import Thread
from probes.words import count, ms

_SHARE, _LONG_NS = 0.5, 300_000_000  # of a thread's life: the traffic of a lab keeps a thread awake for a few percent of it
_CALLS_NS = 1_000_000  # user code per call, at least: a loop of calls is another fault (never-spins)


def observe(run: Run) -> Observation:
    """Compares each thread's user code with its life.

    The clients of a lab send small messages with pauses, so a thread that is in user code for most of its life waits there:
    it reads a variable again and again. An unknown program may compute.
    """
    if not isinstance(run.result.context, LabRun) or not run.clients:
        return not_shown("this run had no clients of iolab: a thread may compute for other clients")
    threads = [thread for thread in run.result.threads if not thread.kernel_worker]
    wrong = [thread for thread in threads if _waits_in_user_code(thread)]
    if not wrong:
        most = max((_share(thread) for thread in threads), default=0.0)
        return held(f"{count(len(threads), 'thread')}: in user code for at most {most:.0%} of their lives")
    worst = max(wrong, key=lambda thread: thread.user)
    return broken(
        f"thread {worst.name} ({worst.tid}) was in user code for {ms(worst.user)} of {ms(worst.wall)}, without a CPU for"
        f" {ms(worst.preempted + worst.sched_delay)}, and made {count(worst.calls, 'call')}; the clients sent"
        f" {count(len(run.result.messages), 'message')} meanwhile",
        places=[place_of(thread, None, None, thread.start, Cost(ns=thread.user)) for thread in wrong],
    )


def _share(thread: Thread) -> float:
    """The part of the thread's life in which it was in user code, or was preempted."""
    return (thread.user + thread.preempted) / max(thread.wall, 1)


def _waits_in_user_code(thread: Thread) -> bool:
    return thread.wall >= _LONG_NS and _share(thread) > _SHARE and thread.calls * _CALLS_NS < thread.user


SLEEPS_WITHOUT_WORK = Property(
    id="sleeps-without-work",
    statement="a thread without work sleeps in a call: it does not wait in user code for a variable",
    fault="a thread waits in user code, and takes a CPU",
    remedy="wait in a call that sleeps: pthread_cond_wait or sem_wait for other threads, the multiplexer for sockets",
    observe=observe,
    lab="nonblocking",
)
