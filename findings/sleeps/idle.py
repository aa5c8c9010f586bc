"""Asleep, split: was there nothing to do for the thread, or did work wait while it slept?

The definition. A thread's time asleep has three parts that add up to it exactly:

* *Held up*: work waited while the thread slept. There are five causes, and the first that applies counts:
  - unread data: data for the thread was unread in one of its sockets. The time until a sleep that this data ended is left out.
  - event loop: the thread is an event loop (findings/threads/loops.py) and slept outside its wait, so that it could notice no
    event. Where another thread waited in the same epoll instance meanwhile, nothing is held up.
  - unanswered message: the thread had read from a connection, had not yet written to that connection, and slept for something
    else. An event loop's wait is left out: the thread serves others meanwhile.
  - device or lock: the thread slept inside the kernel for a disk, a page, a lock of the kernel or of a file, or for room in a
    send buffer; or it slept for a lock of the program (findings/sleeps/futexes.py: `Locks`), unless the holder was idle:
    threads that take turns in accept under a mutex wait for work.
  - other thread: one other followed thread ended the sleep (by futex, pipe, eventfd, socket, or by the end of a child), and
    that thread was held up, or waited for a CPU, after it was idle for the last time.
* *Idle*: the thread waited for work, and none came: in a multiplexer, in accept, for data of a connection, for a time, for a
  signal, or for another thread that was idle itself or worked.
* *Not known*: the recording does not say which. No record names the thread that would have ended the sleep, or the sleep was
  outside system calls.
"""

from __future__ import annotations

import bisect
import collections
import enum
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import NamedTuple

from findings.descriptors.unread import left_unread
from findings.once import once
from findings.sleeps.futexes import Locks
from findings.sleeps.waits import Tasks, sleeps_in_calls
from findings.spans import Covered
from findings.threads.loops import Loop, OtherWaiters, event_loops
from findings.view import Run
from probes.kernel import syscalls
from probes.measure.queues import Queue
from probes.measure.result import Call, Sleep, Thread
from probes.measure.wakers import Link

_DEVICES = {
    Queue.DISK, Queue.WRITEBACK, Queue.JOURNAL, Queue.PAGE, Queue.USERFAULT, Queue.DIRECTORY, Queue.FUSE, Queue.NFS, Queue.SMB,
    Queue.NINE_P, Queue.RANDOM, Queue.COMPLETION, Queue.KERNEL_WORKER, Queue.RCU, Queue.LOCK, Queue.MMAP_LOCK, Queue.VMA_LOCK,
    Queue.SOCKET_LOCK, Queue.FLOCK, Queue.RECORD_LOCK, Queue.LEASE, Queue.SEND_BUFFER, Queue.PEER_BUFFER, Queue.LINGER,
}  # fmt: skip
_FOR_ONE_THREAD = {
    Queue.FUTEX, Queue.PIPE, Queue.FIFO_END, Queue.EVENTFD, Queue.CHILD, Queue.VFORK, Queue.SOCKET, Queue.SEMAPHORE,
    Queue.MESSAGES, Queue.POSIX_MESSAGES,
}  # fmt: skip
_FOR_EVENTS = {Queue.EPOLL, Queue.SELECT, Queue.POLL, Queue.ACCEPT, Queue.IO_URING, Queue.NATIVE_AIO}
_OF_WORKERS = {Queue.IO_URING_WORKER, Queue.IO_URING_SUBMISSION_THREAD}
_FOR_WORK = {
    Queue.EPOLL, Queue.SELECT, Queue.POLL, Queue.ACCEPT, Queue.SOCKET, Queue.PIPE, Queue.FIFO_END, Queue.EVENTFD,
    Queue.TERMINAL, Queue.TIMERFD, Queue.SIGNALFD, Queue.INOTIFY, Queue.FANOTIFY, Queue.USERFAULTFD, Queue.SECCOMP_LISTENER,
    Queue.MESSAGES, Queue.POSIX_MESSAGES, Queue.SIGNAL, Queue.TIMER, Queue.IO_URING, Queue.NATIVE_AIO,
}  # fmt: skip


class Cause(enum.StrEnum):
    """Why a thread was held up; the module's text defines each."""

    UNREAD = "unread data"
    EVENT_LOOP = "event loop outside its wait"
    UNANSWERED = "unanswered message"
    DEVICE = "device or lock"
    THREAD = "other thread held up"


@dataclass(frozen=True)
class AsleepTime:
    """A thread's time asleep, ns: idle + held_up + not_known == Thread.wait."""

    idle: int
    held_up: int
    not_known: int
    causes: tuple[tuple[Cause, int], ...] = ()  # of held_up, the longest first


class SleepParts(NamedTuple):
    """One sleep: held_up + not_known + idle == Sleep.wait."""

    idle: int = 0
    held_up: int = 0
    not_known: int = 0
    cause: Cause | None = None


@dataclass
class _History:
    """The sleeps of one thread so far, with sums: how long it was held up, and how long that is not known."""

    begins: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    held: list[int] = field(default_factory=lambda: [0])
    unknown: list[int] = field(default_factory=lambda: [0])
    for_work: list[int] = field(default_factory=lambda: [0])  # asleep for new connections or events, or for the turn to do so
    idle_until: int = 0  # the end of its last sleep for new work

    def add(self, begin: int, end: int, held: int, unknown: int, for_work: int = 0) -> None:
        self.begins.append(begin)
        self.ends.append(end)
        self.held.append(self.held[-1] + held)
        self.unknown.append(self.unknown[-1] + unknown)
        self.for_work.append(self.for_work[-1] + for_work)

    def within(self, begin: int, end: int) -> tuple[int, int]:
        """How long of that time the thread was held up, and how long that is not known, ns."""
        return self._of(self.held, begin, end), self._of(self.unknown, begin, end)

    def waited_for_work(self, begin: int, end: int) -> int:
        """How long of that time the thread waited for new work, ns."""
        return self._of(self.for_work, begin, end)

    def _of(self, sums: list[int], begin: int, end: int) -> int:
        return self._until(sums, end) - self._until(sums, begin)

    def _until(self, sums: list[int], moment: int) -> int:
        """The sum up to a moment. Of a sleep under way its parts count in proportion."""
        at = bisect.bisect_left(self.begins, moment)
        if not at or self.ends[at - 1] <= moment:
            return sums[at]
        begin, end = self.begins[at - 1], self.ends[at - 1]
        return sums[at - 1] + (moment - begin) * (sums[at] - sums[at - 1]) // max(end - begin, 1)


class Idleness:
    """Every sleep of a run, split. The sleeps are taken in the order of their ends: what a sleep waits for has ended before."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._tasks = Tasks(run.result.threads)
        self._locks = Locks(run)
        self._loops = {loop.thread.serial: loop for loop in event_loops(run)}
        self._others = OtherWaiters(run)
        self._unread = _unread(run)
        self._unanswered = _unanswered(run)
        self._history: dict[int, _History] = collections.defaultdict(_History)
        self._parts: dict[tuple[int, int], SleepParts] = {}
        for call, sleep in sorted(sleeps_in_calls(run.result.calls), key=lambda pair: pair[1].woken):
            parts = self._split(call, sleep)
            self._parts[call.thread, sleep.off] = parts
            history = self._history[call.thread]
            for_work = parts.idle if sleep.queue in _FOR_EVENTS or self._locks.waited_for(call) else 0
            history.add(sleep.off, sleep.woken, parts.held_up, parts.not_known, for_work)
            history.add(sleep.woken, sleep.on, sleep.delay, 0)  # it could run, and had no CPU
            if parts.idle == sleep.wait:
                history.idle_until = sleep.woken

    def of_sleep(self, call: Call, sleep: Sleep) -> SleepParts:
        """The parts of one sleep."""
        return self._parts[call.thread, sleep.off]

    def of_call(self, call: Call) -> int:
        """How long the thread was held up in the sleeps of one call, ns."""
        return sum(self._parts[call.thread, sleep.off].held_up for sleep in call.sleeps)

    def of_thread(self, thread: Thread) -> AsleepTime:
        """The parts of a thread's whole time asleep."""
        causes: collections.Counter[Cause] = collections.Counter()
        idle = asleep = 0
        for call in self._run.calls_of.get(thread.serial, ()):
            for sleep in call.sleeps:
                parts = self._parts[thread.serial, sleep.off]
                asleep, idle = asleep + sleep.wait, idle + parts.idle
                if parts.cause and parts.held_up:
                    causes[parts.cause] += parts.held_up
        outside = max(thread.wait - asleep, 0)  # in page faults, for example; and what the details of a long run leave out
        in_devices = min(_slept_on(thread, _DEVICES), outside)
        if thread.kernel_worker:
            idle += min(_slept_on(thread, _OF_WORKERS), outside - in_devices)
        if in_devices:
            causes[Cause.DEVICE] += in_devices
        held_up = sum(causes.values())
        return AsleepTime(idle, held_up, thread.wait - idle - held_up, tuple(causes.most_common()))

    def _split(self, call: Call, sleep: Sleep) -> SleepParts:
        unread = min(self._unread[call.thread].within(sleep.off, sleep.woken), sleep.wait)
        rest = self._without_unread(call, sleep)
        if not unread:
            return rest
        held = max(unread, rest.held_up)
        unknown = min(rest.not_known, sleep.wait - held)
        cause = Cause.UNREAD if unread >= rest.held_up else rest.cause
        return SleepParts(idle=sleep.wait - held - unknown, held_up=held, not_known=unknown, cause=cause)

    def _without_unread(self, call: Call, sleep: Sleep) -> SleepParts:
        """The parts of a sleep beside which no data was unread."""
        loop = self._loops.get(call.thread)
        waits = call.name in syscalls.LOOP_WAITS if loop is None else loop.in_wait(call)
        if loop and not waits and self._outside_its_wait(loop, call, sleep):
            return SleepParts(held_up=sleep.wait, cause=Cause.EVENT_LOOP)
        if not waits and self._unanswered[call.thread].besides(call.fd, sleep):
            return SleepParts(held_up=sleep.wait, cause=Cause.UNANSWERED)
        if sleep.queue in _DEVICES or (self._locks.waited_for(call) and not self._holder_was_idle(sleep)):
            return SleepParts(held_up=sleep.wait, cause=Cause.DEVICE)
        if not waits and sleep.queue in _FOR_ONE_THREAD and (waker := self._tasks.waker(sleep)):
            return self._as_its_waker(sleep, waker)
        chain = sleep.waker.chain if sleep.waker else ()
        if sleep.queue in _FOR_WORK or Link.TIMER in chain or Link.END_OF_THE_PROCESS in chain:
            return SleepParts(idle=sleep.wait)
        return SleepParts(not_known=sleep.wait)

    def _outside_its_wait(self, loop: Loop, call: Call, sleep: Sleep) -> bool:
        return loop.begin <= call.enter <= loop.end and not self._others.waited(call.thread, sleep)

    def _holder_was_idle(self, sleep: Sleep) -> bool:
        """Did the thread that released the mutex wait for work for most of the sleep?"""
        holder = self._tasks.waker(sleep)
        return holder is not None and 2 * self._history[holder.serial].waited_for_work(sleep.off, sleep.woken) > sleep.wait

    def _as_its_waker(self, sleep: Sleep, waker: Thread) -> SleepParts:
        if sleep.waker and not {Link.END_OF_THE_PROCESS, Link.SIGNAL}.isdisjoint(sleep.waker.chain):
            return SleepParts(idle=sleep.wait)
        history = self._history[waker.serial]
        held, unknown = history.within(max(sleep.off, min(history.idle_until, sleep.woken)), sleep.woken)
        held = min(held, sleep.wait)
        unknown = min(unknown, sleep.wait - held)
        cause = Cause.THREAD if held else None
        return SleepParts(idle=sleep.wait - held - unknown, held_up=held, not_known=unknown, cause=cause)


def _slept_on(thread: Thread, queues: Collection[str]) -> int:
    """How long the thread slept outside calls on these queues, ns."""
    return sum(slept.ns for slept in thread.slept_on if slept.queue in queues)


@once
def idleness_of(run: Run) -> Idleness:
    """Every sleep of the run, split into its parts."""
    return Idleness(run)


def asleep(run: Run) -> dict[int, AsleepTime]:
    """The parts of each thread's time asleep, by the thread's serial number."""
    idleness = idleness_of(run)
    return {thread.serial: idleness.of_thread(thread) for thread in run.result.threads}


def _unread(run: Run) -> dict[int, Covered]:
    """For each thread: when data for it was unread in a socket, without the time until a sleep that this data ended."""
    asleep_at: dict[int, list[tuple[int, int, int]]] = collections.defaultdict(list)  # (asleep from, woken, end of the call)
    for call, sleep in sleeps_in_calls(run.result.calls):
        asleep_at[call.thread].append((sleep.off, sleep.woken, call.exit))
    for sleeps in asleep_at.values():
        sleeps.sort()
    spans: dict[int, list[tuple[int, int]]] = collections.defaultdict(list)
    for message in run.result.messages:
        begin, sleeps = message.ready, asleep_at[message.thread]
        before = bisect.bisect_right(sleeps, message.ready, key=lambda span: span[0]) - 1
        if before >= 0 and sleeps[before][1] >= begin and message.notified <= sleeps[before][2]:
            begin = sleeps[before][1]
        spans[message.thread].append((begin, message.copied))
    for rest in left_unread(run):
        spans[rest.thread].append((rest.since, rest.since + rest.ns))
    return collections.defaultdict(lambda: Covered(()), {thread: Covered(own) for thread, own in spans.items()})


class _Unanswered:
    """The times of one thread between a read from a connection and the write that answers it, by descriptor."""

    def __init__(self) -> None:
        self._of: dict[int, list[tuple[int, int]]] = collections.defaultdict(list)

    def add(self, fd: int, begin: int, end: int) -> None:
        """Adds the next time of a descriptor."""
        self._of[fd].append((begin, end))

    def besides(self, fd: int | None, sleep: Sleep) -> bool:
        """Does the sleep lie within such a time of another descriptor?"""
        for other, spans in self._of.items():
            at = bisect.bisect_right(spans, sleep.off, key=lambda span: span[0]) - 1
            if other != fd and at >= 0 and sleep.woken <= spans[at][1]:
                return True
        return False


def _unanswered(run: Run) -> dict[int, _Unanswered]:
    """A message that no write follows before the next read of its connection has no answer.

    What a client reads is an answer itself: sockets that called connect are left out.
    """
    found: dict[int, _Unanswered] = collections.defaultdict(_Unanswered)
    read: dict[tuple[int, int], int] = {}
    process = {thread.serial: thread.pid for thread in run.result.threads}
    connected: set[tuple[int, int]] = set()
    for call in run.result.calls:
        if call.fd is None or call.histogram is not None:
            continue
        key, file = (call.thread, call.fd), (process[call.thread], call.fd)
        if call.name == "connect":
            connected.add(file)
        elif call.name == "close":
            connected.discard(file)
        if call.name in syscalls.READS and call.bytes and call.socket and file not in connected:
            read[key] = call.exit
        elif call.name in syscalls.WRITES and call.bytes and key in read:
            found[call.thread].add(call.fd, read.pop(key), call.enter)
        elif call.name in ("close", "shutdown"):
            read.pop(key, None)
    return found
