"""The number of threads does not grow without end: a thread without work ends, or belongs to a pool of a fixed size."""

from __future__ import annotations

from findings.properties.property import Cost, Observation, Property, broken, held, not_shown, place_of
from findings.threads.processes import Process, processes
from findings.view import Run, ended_by_signal
from probes.measure.result import Thread
from probes.words import count

_MANY = 40
_SOON_NS = 50_000_000  # what a thread does only in this time after its start, it does once
_PART, _SPREAD = 4, 0.1  # in the last quarter of the time at least a tenth of the threads was still added


def observe(run: Run) -> Observation:
    """Counts the threads that fell asleep soon after their start, never woke, and were added until the end."""
    of_all = processes(run)
    if all(len(process.threads) == 1 for process in of_all):
        return not_shown("no process had a second thread")
    left = [(process, own) for process in of_all if (own := _left(run, process))]
    if not left:
        most = max(len(process.threads) for process in of_all)
        return held(f"at most {count(most, 'thread')} in a process, and no growing number of threads that never wake")
    process, own = max(left, key=lambda pair: len(pair[1]))
    return broken(
        f"{count(len(own), 'thread')} of process {process.pid} fell asleep soon after their start and never woke; the process"
        f" added threads until its end",
        places=[place_of(own[0], _last_call(run, own[0]), None, own[0].start, Cost(calls=len(own))) for _, own in left],
    )


def _left(run: Run, process: Process) -> list[Thread]:
    asleep = [thread for thread in process.threads[1:] if _sleeps_for_ever(run, thread, process)]
    begin, end = process.start, process.end
    late = [thread for thread in asleep if thread.start > end - (end - begin) // _PART]
    return asleep if len(asleep) >= _MANY and len(late) >= _SPREAD * len(asleep) else []


def _sleeps_for_ever(run: Run, thread: Thread, process: Process) -> bool:
    calls = run.calls_of.get(thread.serial, [])
    if not calls or thread.end < process.end - _SOON_NS:
        return False
    last = calls[-1]
    return (
        (last.result is None or ended_by_signal(last))
        and last.enter - thread.start < _SOON_NS
        and last.wait > 0.9 * (thread.end - last.enter)
    )


def _last_call(run: Run, thread: Thread) -> str | None:
    calls = run.calls_of.get(thread.serial, [])
    return calls[-1].name if calls else None


ENDS_ITS_THREADS = Property(
    id="ends-its-threads",
    statement="the number of threads does not grow without end",
    fault="the number of threads grows without end",
    remedy="end a thread that has no more work, or give the work to a pool of a fixed size",
    observe=observe,
    needs_all=True,
)
