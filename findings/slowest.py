"""The slowest messages and calls, each with its story: what its thread waited for, followed from thread to thread to the end.

A message lasts from the arrival of its first byte until its thread has written the answer (where the thread writes none: until
the message is returned to the program). A call counts with the time in which its thread was not idle: a thread that waits for
work is not slow.
"""

from __future__ import annotations

import bisect
import collections
import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from findings.descriptors.words import socket_words
from findings.sleeps.idle import idleness_of
from findings.sleeps.waits import Tasks, runs_for_itself
from findings.spans import overlap
from findings.view import Run
from probes.kernel import syscalls
from probes.measure.result import Call, Message, Result, Sleep, Thread
from probes.measure.wakers import Link
from probes.words import count, ms, visible

_DEEPEST = 8  # threads on one path
_ENDS_A_REPLY = syscalls.READS | {"close"}
_SHARE = 0.1  # of the whole: a shorter part is left out of the story


@dataclass(frozen=True)
class Step:
    """A part of the critical path: a thread slept, and for what; or it waited for a CPU; or it worked."""

    thread: Thread
    ns: int
    call: str | None = None  # in which it slept; None: it worked, or waited for a CPU
    queue: str | None = None
    no_cpu: bool = False
    woken_by: Thread | None = None  # a followed thread: the next step says what that thread did meanwhile
    waker: str = ""  # the name of a waker that is not followed; "" if an interrupt ended the sleep
    by_time: bool = False  # a time was over
    depth: int = 0  # 0: the thread of the message or call; 1: the thread that woke it; ...


@dataclass(frozen=True)
class Story:
    """One slow message or call. `number` counts from 1: messages in the order of their arrival, calls of one thread."""

    ns: int  # of a call: the time in which its thread was not idle
    thread: Thread
    steps: tuple[Step, ...]
    message: Message | None = None
    call: Call | None = None
    number: int = 0
    descriptor: str = ""  # of the message or the call, in words; "": not known

    @property
    def begin(self) -> int:
        """When it began, ns."""
        return self.message.ready if self.message else self.call.enter if self.call else 0

    @property
    def words(self) -> str:
        """The story in one sentence."""
        return f"{self.title}: {_in_words(self.steps) or 'no part of it stands out'}"

    @property
    def title(self) -> str:
        """What was slow, and for how long."""
        on = f" on {self.descriptor}" if self.descriptor else ""
        if self.message:
            return f"message {self.number:,} ({count(self.message.bytes, 'byte')}){on} took {ms(self.ns)}"
        name, total = (self.call.name, self.call.total) if self.call else ("", self.ns)
        part = f", {ms(self.ns)} of it not idle" if self.ns < 0.95 * total else ""
        return f"{name} number {self.number:,} of thread {_name(self.thread)}{on} took {ms(total)}{part}"


@dataclass(frozen=True)
class Slowest:
    """The slowest messages and calls of a run, the slowest first."""

    messages: tuple[Story, ...]
    calls: tuple[Story, ...]


def slowest(result: Result, number: int, part: Result | None = None) -> Slowest:
    """The `number` slowest messages, and as many of the slowest calls; of a part of the run, where it is given."""
    return _Stories(Run(result)).slowest(number, part or result)


class _Stories:
    """What stories need of a run, computed once."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._tasks = Tasks(run.result.threads)
        self._idleness = idleness_of(run)
        self._threads = {thread.serial: thread for thread in run.result.threads}
        self._of_descriptor: dict[tuple[int, int | None], list[Call]] = {}  # reads, writes of bytes and closes, by thread
        for call in run.result.calls:
            if (call.name in syscalls.WRITES and call.bytes) or call.name in _ENDS_A_REPLY:
                self._of_descriptor.setdefault((call.thread, call.fd), []).append(call)

    def slowest(self, number: int, part: Result) -> Slowest:
        """The stories of the slowest messages and calls of the part."""
        arrived = sorted(part.messages, key=lambda message: message.ready)
        lasted = [(self._answered(message) - message.ready, at) for at, message in enumerate(arrived, 1)]
        messages = [self._of_message(arrived[at - 1], at, ns) for ns, at in heapq.nlargest(number, lasted)]
        busy = [(self._busy(call), at) for at, call in enumerate(part.calls) if call.histogram is None]
        calls = [self._of_call(part.calls[at], ns) for ns, at in heapq.nlargest(number, busy) if ns]
        return Slowest(tuple(messages), tuple(calls))

    def _busy(self, call: Call) -> int:
        """The time of the call in which its thread was not idle, ns."""
        return call.total - sum(self._idleness.of_sleep(call, sleep).idle for sleep in call.sleeps)

    def _answered(self, message: Message) -> int:
        """The end of the first write to the message's descriptor before the next read from it; else the message's return."""
        calls = self._of_descriptor.get((message.thread, message.fd), [])
        at = bisect.bisect_left(calls, message.returned, key=lambda call: call.enter)
        if at < len(calls) and calls[at].name in syscalls.WRITES and calls[at].bytes:
            return calls[at].exit
        return message.returned

    def _of_message(self, message: Message, number: int, ns: int) -> Story:
        thread = self._threads[message.thread]
        steps = self._path(thread, message.ready, message.ready + ns, ns, 0)
        return Story(ns, thread, tuple(steps), message=message, number=number, descriptor=self._socket(message))

    def _of_call(self, call: Call, ns: int) -> Story:
        thread = self._threads[call.thread]
        own = [each for each in self._run.calls_of[call.thread] if each.name == call.name]
        number = bisect.bisect_right(own, call.enter, key=lambda each: each.enter)
        steps = self._path(thread, call.enter, call.exit, ns, 0)
        return Story(ns, thread, tuple(steps), call=call, number=number, descriptor=self._run.descriptors.of(call))

    def _socket(self, message: Message) -> str:
        """The socket of a message in words."""
        name = self._run.descriptors.of_socket(message.socket)
        return socket_words(name) if name else self._run.descriptors.at(message.thread, message.fd, message.read)

    def _path(self, thread: Thread, begin: int, end: int, whole: int, depth: int) -> list[Step]:
        """What a thread did in this time, as far as it takes a share of the whole; then what its waker did meanwhile."""
        calls = self._run.calls_of.get(thread.serial, [])
        first = max(bisect.bisect_right(calls, begin, key=lambda call: call.enter) - 1, 0)
        last = bisect.bisect_left(calls, end, key=lambda call: call.enter)
        slept: dict[tuple[str, str], list[tuple[Call, Sleep]]] = collections.defaultdict(list)
        asleep = no_cpu = 0
        for call in calls[first:last]:
            for sleep in call.sleeps:
                if sleep.on > begin and sleep.off < end:
                    slept[call.name, sleep.queue].append((call, sleep))
                    asleep += overlap(sleep.off, sleep.woken, begin, end)
                    no_cpu += overlap(sleep.woken, sleep.on, begin, end)
        steps = []
        for group in sorted(slept.values(), key=lambda group: -_asleep(group, begin, end)):
            if _asleep(group, begin, end) >= _SHARE * whole:
                steps += self._slept(thread, group, begin, end, whole, depth)
        if no_cpu >= _SHARE * whole:
            steps.append(Step(thread, no_cpu, no_cpu=True, depth=depth))
        worked = min(end, thread.end) - max(begin, thread.start) - asleep - no_cpu
        if worked >= _SHARE * whole and (depth or not steps or worked >= 0.5 * whole):
            steps.append(Step(thread, worked, depth=depth))
        return steps

    def _slept(
        self, thread: Thread, group: Sequence[tuple[Call, Sleep]], begin: int, end: int, whole: int, depth: int
    ) -> list[Step]:
        """The sleeps of one kind, and what the thread that ended the longest of them did meanwhile."""
        call, sleep = max(group, key=lambda pair: overlap(pair[1].off, pair[1].woken, begin, end))
        waker = self._tasks.waker(sleep)
        chain = sleep.waker.chain if sleep.waker else ()
        step = Step(
            thread=thread,
            ns=_asleep(group, begin, end),
            call=call.name,
            queue=sleep.queue,
            woken_by=waker,
            waker=sleep.waker.comm if sleep.waker and not waker and runs_for_itself(sleep.waker) else "",
            by_time=Link.TIMER in chain,
            depth=depth,
        )
        if waker is None or depth >= _DEEPEST or waker.serial == thread.serial:
            return [step]
        return [step, *self._path(waker, max(sleep.off, begin), min(sleep.woken, end), whole, depth + 1)]


def _asleep(group: Sequence[tuple[Call, Sleep]], begin: int, end: int) -> int:
    return sum(overlap(sleep.off, sleep.woken, begin, end) for _, sleep in group)


def _name(thread: Thread) -> str:
    return f"{visible(thread.name)} (tid {thread.tid})"


def _in_words(steps: Sequence[Step]) -> str:
    """The steps in words, one after the other."""
    return "; ".join(_step(step, before) for step, before in zip(steps, [None, *steps], strict=False))


def _step(step: Step, before: Step | None) -> str:
    woke = before is not None and before.woken_by is not None and before.woken_by.serial == step.thread.serial
    who = f"{_name(step.thread)}, which woke it," if woke else f"thread {_name(step.thread)}"
    if step.no_cpu:
        return f"{who} waited {ms(step.ns)} for a CPU"
    if step.call is None:
        return f"{who} ran for {ms(step.ns)}"
    ended = f" until {visible(step.waker)} woke it" if step.waker and not step.by_time else ""
    return f"{who} slept {ms(step.ns)} in {step.call}{ended}"
