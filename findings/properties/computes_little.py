"""A thread with a multiplexer does not compute while other connections wait: its handlers are short."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from findings.properties.property import Cost, Gravity, Observation, Property, broken, held, not_shown, place_of
from findings.view import Run, ended_by_signal
from probes.context import LabRun
from probes.kernel import syscalls
from probes.measure.result import Call, Message, Thread
from probes.words import count, ms

# A handler's user code takes a few times as long as its system calls: 2 to 10 times in Python. Longer user code computes.
_COMPUTES = 30
_OFTEN = 3  # computations of a lab's server: a runtime compiles the code of the first requests
_MANY = 0.1  # the share of the messages that may arrive during a long computation: a busy machine lengthens a few of them


@dataclass(frozen=True)
class _Work:
    """From the return of one wait to the start of the next: the user code, and the calls in the kernel, ns."""

    begin: int
    end: int
    user: int
    kernel: int
    burst: bool  # calls of a burst lie among other calls: how many of them were made here is not known

    @property
    def computes(self) -> bool:
        """Was most of it user code, far more than its system calls need?"""
        return not self.burst and self.user > _COMPUTES * max(self.kernel, 1)


def observe(run: Run) -> Observation:
    """Counts the messages that arrived while their thread computed between two waits."""
    lab = isinstance(run.result.context, LabRun)
    threads = {thread.serial: thread for thread in run.result.threads}
    work = {
        serial: _work(calls, waits)
        for serial, calls in run.calls_of.items()
        if (waits := _waits(calls)) and (lab or not _lacked_a_cpu(threads[serial]))
    }
    messages = [message for message in run.result.messages if message.thread in work]
    if not messages:
        return not_shown(
            "no thread with a multiplexer read a message, or these threads were preempted for longer than they ran"
        )
    meanwhile = [_at(work[message.thread], message.ready) for message in messages]
    if all(found and found.burst for found in meanwhile):
        return not_shown("the threads repeated calls in bursts while messages arrived: the order of their calls is not known")
    met = [(message, found) for message, found in zip(messages, meanwhile, strict=True) if found and found.computes]
    often = len({found.begin for _, found in met}) >= (_OFTEN if lab else 1)
    if often and len(met) > max(2, _MANY * len(messages)):
        return broken(
            f"the thread computed for up to {ms(max(found.user for _, found in met))} between two waits;"
            f" {count(len(met), 'message')} of {len(messages)} arrived meanwhile and waited for it",
            places=[
                place_of(
                    threads[serial],
                    since=min(found.begin for message, found in met if message.thread == serial),
                    cost=_waited(message for message, _ in met if message.thread == serial),
                )
                for serial in {message.thread for message, _ in met}
            ],
        )
    return held(
        f"{len(met)} of {count(len(messages), 'message')} arrived while the thread computed for more than {_COMPUTES} times the"
        " duration of its calls"
    )


def _waited(messages: Iterable[Message]) -> Cost:
    """How long these messages waited, and how much data they were."""
    waited = list(messages)
    return Cost(ns=sum(message.ready_to_notified for message in waited), bytes=sum(message.bytes for message in waited))


def _waits(calls: Sequence[Call]) -> list[Call]:
    return [call for call in calls if call.name in syscalls.MULTIPLEXERS and not (call.open or ended_by_signal(call))]


def _lacked_a_cpu(thread: Thread) -> bool:
    """Was it preempted for longer than it ran? Then it can't be said which of its user code was long.

    The recording has the preemptions outside calls as a sum for each thread.
    """
    return thread.preempted > thread.user


def _work(calls: Sequence[Call], waits: Sequence[Call]) -> list[_Work]:
    """What one thread did between its waits, in order."""
    bursts = [call for call in calls if call.histogram]
    begins, ends = [call.enter for call in bursts], list(itertools.accumulate((call.exit for call in bursts), max))
    enters = [call.enter for call in calls]
    work = []
    for wait, following in itertools.pairwise(waits):
        between = calls[bisect.bisect_left(enters, wait.exit) : bisect.bisect_left(enters, following.enter)]
        if between:
            user = following.enter - wait.exit - sum(call.total for call in between)
            before = bisect.bisect_left(begins, following.enter)
            burst = before > 0 and ends[before - 1] > wait.exit
            work.append(_Work(wait.exit, following.enter, user, sum(call.kernel + call.copy for call in between), burst))
    return work


def _at(work: Sequence[_Work], at: int) -> _Work | None:
    """What the thread did at that time; None: it was in a wait."""
    index = bisect.bisect_right(work, at, key=lambda each: each.begin) - 1
    found = work[index] if index >= 0 else None
    return found if found and at < found.end else None


COMPUTES_LITTLE = Property(
    id="computes-little",
    statement="no handler computes while other connections wait",
    fault="a handler computes while other connections wait",
    remedy="give long computations to another thread or process, or divide them into parts between two waits",
    observe=observe,
    gravity=Gravity.LATE,
    needs_all=True,
    lab="slow_handler",
)
