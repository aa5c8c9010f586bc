"""A thread without work sleeps until something happens, and not for a short time after which it polls again."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable
from dataclasses import dataclass

from findings.properties.property import Cost, Observation, Property, broken, held, not_shown, place_of
from findings.view import Run
from probes.context import LabRun
from probes.kernel import syscalls
from probes.measure.result import Call, Thread
from probes.words import count, ms

_PAUSES = {"nanosleep", "clock_nanosleep"}
_SHORT_NS = 100_000_000  # a time-out of 0.1 s or longer costs next to nothing, and may be there for a good reason
_MOST = 0.5
_MANY = 10  # time-outs of a thread; fewer are no polling
# A program that is not known may have timers of its own: a thread that wakes up more than 100 times a second polls.
_SHORT_IN_ANY_PROGRAM_NS = 10_000_000


@dataclass(frozen=True)
class TimeOuts:
    """The sleeps of one thread that only the time ended."""

    thread: Thread
    name: str  # of the call
    calls: list[Call]
    short: int  # ns: shorter time-outs poll

    @property
    def average(self) -> float:
        """How long one of these sleeps lasted on average, ns."""
        return sum(call.wait for call in self.calls) / max(len(self.calls), 1)

    @property
    def polls(self) -> bool:
        """Are they many, and short?"""
        return len(self.calls) > _MANY and self.average < self.short


def observe(run: Run) -> Observation:
    """Counts the sleeps that ended without a result because their time was over."""
    short = _SHORT_NS if isinstance(run.result.context, LabRun) else _SHORT_IN_ANY_PROGRAM_NS
    seen = [
        TimeOuts(thread, name, [call for call in calls if call.name == name], short)
        for thread in run.result.threads
        if (calls := [*polls_after_time_out(run.calls_of.get(thread.serial, ())), *_locks(run, thread)])
        for name in sorted({call.name for call in calls})
    ]
    if not run.result.calls:
        return not_shown("no thread made a system call")
    worst = max(seen, key=lambda polling: (polling.polls, len(polling.calls)), default=None)
    if worst is None or not worst.polls:
        return held(f"{count(sum(len(polling.calls) for polling in seen), 'sleep')} ended because a time-out expired")
    thread = worst.thread
    return broken(
        f"{count(len(worst.calls), 'sleep')} of thread {thread.name} in {worst.name} ended because a time-out expired,"
        f" after {ms(worst.average)} on average, and the thread polled again",
        places=[
            place_of(
                polling.thread,
                polling.name,
                polling.calls[0].fd,
                polling.calls[0].enter,
                Cost(ns=sum(call.total - call.wait for call in polling.calls), calls=len(polling.calls)),
            )
            for polling in seen
            if polling.polls
        ],
    )


def _locks(run: Run, thread: Thread) -> list[Call]:
    """The waits for a lock, a condition or a queue (futex) that timed out, of a thread whose sleeps mostly end so.

    A thread of CPython that waits for the interpreter's lock wakes up every 5 ms and asks for it (Python/ceval_gil.c). So these
    waits count only if the other threads of the process are asleep for most of the time.
    """
    slept = [call for call in run.calls_of.get(thread.serial, ()) if call.sleeps]
    ended = [call for call in slept if call.name == "futex" and call.errno == "ETIMEDOUT"]
    if not ended or len(ended) < _MOST * len(slept):
        return []
    others = sum(other.awake for other in run.result.threads if other.pid == thread.pid and other is not thread)
    return ended if others < _MOST * thread.wall else []


def polls_after_time_out(calls: Iterable[Call]) -> list[Call]:
    """Of one thread's calls in order: the waits that timed out, and the pauses (nanosleep) before a call without result."""
    calls = list(calls)
    pauses = _pauses(calls)
    polled = {id(pause) for call in calls if call.count > 1 and _without_result(call) for pause in _within(call, pauses)}
    apart = {id(pause) for pause in pauses}
    polled |= {id(pause) for pause, call in itertools.pairwise(calls) if id(pause) in apart and _without_result(call)}
    return [call for call in calls if timed_out(call) and (call.name not in _PAUSES or id(call) in polled)]


def _pauses(calls: list[Call]) -> list[Call]:
    """The pauses of a thread, without those of a slow handler, which follow a wait with a result."""
    found = []
    in_handler = False
    for call in calls:
        if call.name in syscalls.LOOP_WAITS:
            in_handler = bool(call.sleeps) or (call.result or 0) > 0
        elif call.name in _PAUSES and timed_out(call) and not in_handler:
            found.append(call)
    return found


def _without_result(call: Call) -> bool:
    return call.errno == "EAGAIN" or (call.name in syscalls.MULTIPLEXERS | syscalls.AIO_WAITS and call.result == 0)


def _within(burst: Call, pauses: list[Call]) -> list[Call]:
    """The pauses between the calls of a burst, if the burst has a call for each of them."""
    begin = bisect.bisect_left(pauses, burst.enter, key=lambda pause: pause.enter)
    end = bisect.bisect_right(pauses, burst.exit, key=lambda pause: pause.exit)
    return pauses[begin:end] if end - begin <= burst.count else []


def timed_out(call: Call) -> bool:
    """Did the call sleep, and return with nothing because its time was over?"""
    if not call.sleeps or call.open:
        return False
    if call.name in _PAUSES or call.name in syscalls.MULTIPLEXERS:
        return call.result == 0
    if call.name in syscalls.READS | syscalls.ACCEPTS | {"rt_sigtimedwait"}:
        return call.errno == "EAGAIN"  # SO_RCVTIMEO, or the time-out of sigtimedwait
    if call.errno == "ETIME":
        return True  # io_uring_enter with a time-out (IORING_ENTER_EXT_ARG)
    if call.name == "io_uring_enter" and (waker := call.sleeps[-1].waker):
        return waker.chain[0] == "timer"  # a completion of IORING_OP_TIMEOUT
    return call.name in syscalls.AIO_WAITS and call.result == 0


NEEDS_NO_SHORT_TIME_OUT = Property(
    id="needs-no-short-time-out",
    statement="no thread polls after short time-outs: it sleeps until something happens",
    fault="a thread polls after short time-outs",
    remedy="wait without a time-out (-1, None), or compute the time-out from the next moment at which something must be done",
    observe=observe,
    lab="time_out_polling",
)
