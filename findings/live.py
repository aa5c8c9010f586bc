"""What a program did between two moments: its threads by role, how long they slept and where, their calls and bytes.

The time asleep, on a CPU and in the run queue is that of the threads' states. So it is right for a thread, too, that slept in
one call all the time. The sums say on which queues: a row of sleeps grows when a sleep ends, by all of that sleep. It may have
begun before the interval, so the queues of the sleeps that ended share the time that the thread was asleep in the interval.
"""

from __future__ import annotations

import collections
import functools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from findings.sleeps.causes import Cause, of_sum
from findings.threads.roles import Role, kind
from probes.kernel import syscalls
from probes.kernel.records import OTHERS
from probes.measure.live import Followed, Moment
from probes.measure.queues import Queue
from probes.measure.rows import SleepSum

OUTSIDE = ""  # the name of the call for sleeps outside calls
_MOSTLY = 0.9  # of a thread's sleeps
_SAID_WITH_THREAD = {Role.MAIN, Role.HELPER, Role.TIMER, Role.IDLE}
_SERVES = {Role.LOOP, Role.ACCEPTOR, Role.WORKER, Role.SERVER}


@dataclass(frozen=True)
class LiveWait:
    """Where threads slept. `asleep_now`: how many are in such a sleep at the later moment; `ended`: the sleeps that ended.

    `ended_by`: what ended these sleeps, the most frequent cause first.
    """

    call: str
    queue: str
    ns: int
    ended: int
    asleep_now: int
    ended_by: tuple[tuple[Cause, int], ...]


@dataclass(frozen=True)
class LiveGroup:
    """Threads of one role and one kind of name, in a process or in processes of one name that one process made.

    All figures are of the time between two moments. `alive`: the threads at the later moment; `wall`: the sum of their times;
    `waits` and `calls`: the most first.
    """

    role: Role
    name: str
    process: str
    threads: int
    alive: int
    pids: tuple[int, ...]
    wall: int
    cpu: int
    run_queue: int
    asleep: int
    calls: int
    errors: int
    bytes: int
    waits: tuple[LiveWait, ...]
    named_calls: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Interval:
    """The time between two moments, ns. `names`: the words for each thread. `unlisted`: calls of threads without an account."""

    since: int
    until: int
    groups: tuple[LiveGroup, ...]
    names: Mapping[int, str]
    unlisted: int

    @property
    def ns(self) -> int:
        """How long it is."""
        return self.until - self.since


def between(before: Moment, after: Moment) -> Interval:
    """What happened from one moment to a later one. Threads that had ended before the first are left out."""
    changes = _Changes(before, after)
    gone = {serial for serial, thread in before.threads.items() if thread.ended}
    members: dict[tuple[Role, str, str, int], list[Followed]] = collections.defaultdict(list)
    roles = live_roles(after)
    leaders = _leaders(after.threads.values())
    for thread in after.threads.values():
        if thread.serial not in gone:
            leader = leaders[thread.pid]
            creator = after.threads.get(leader.parent)
            siblings = creator.pid if creator else 0  # the processes that one process made are of one kind
            members[roles[thread.serial], kind(thread.name), kind(leader.name), siblings].append(thread)
    groups = [changes.group(role, threads, leaders) for (role, *_), threads in members.items()]
    ordered = sorted(groups, key=lambda group: (-group.cpu, -group.calls, group.role.rank, group.name))
    alike = collections.Counter((thread.pid, roles[thread.serial]) for thread in after.threads.values())
    names = {
        serial: _words(leaders[thread.pid], roles[serial], alike[thread.pid, roles[serial]])
        for serial, thread in after.threads.items()
    }
    return Interval(before.at, after.at, tuple(ordered), names, changes.unlisted)


def _leaders(threads: Iterable[Followed]) -> dict[int, Followed]:
    """The thread of each process that stands for it: the first, or the oldest that is followed."""
    found: dict[int, Followed] = {}
    for thread in sorted(threads, key=lambda thread: (thread.ended, thread.tid != thread.pid)):
        found.setdefault(thread.pid, thread)
    return found


def _words(process: Followed, role: Role, number: int) -> str:
    """A thread in words: its role and its process, the same for all threads of that role."""
    article = "the" if number == 1 else "an" if role[0] in "aeiou" else "a"
    return f"{article} {noun(role)} of {process.name} ({process.pid})"


def noun(role: Role) -> str:
    """As in "idle thread", "worker"."""
    return f"{role} thread" if role in _SAID_WITH_THREAD else str(role)


class _Changes:
    """The sums of the later moment minus those of the earlier, by thread."""

    def __init__(self, before: Moment, after: Moment) -> None:
        self._before, self._after = before, after
        self._calls: dict[int, collections.Counter[str]] = collections.defaultdict(collections.Counter)
        self._errors: collections.Counter[int] = collections.Counter()
        self._bytes: collections.Counter[int] = collections.Counter()
        self._sleeps: dict[int, list[tuple[SleepSum, int, int]]] = collections.defaultdict(list)
        had = {(row.thread, row.name, row.descriptor, row.outcome): (row.count, row.bytes) for row in _each(before)}
        for row in _each(after):
            count, moved = had.get((row.thread, row.name, row.descriptor, row.outcome), (0, 0))
            self._calls[row.thread][row.name] += max(0, row.count - count)
            self._bytes[row.thread] += max(0, row.bytes - moved)
            if row.errno:
                self._errors[row.thread] += max(0, row.count - count)
        self.unlisted = self._calls[OTHERS].total()
        slept = _sleeps(before)
        for key, (sleep, ended, ns) in _sleeps(after).items():
            _, ended_before, ns_before = slept.get(key, (sleep, 0, 0))
            if ended > ended_before:
                self._sleeps[sleep.thread].append((sleep, ended - ended_before, max(0, ns - ns_before)))

    def group(self, role: Role, threads: Sequence[Followed], leaders: Mapping[int, Followed]) -> LiveGroup:
        spans = {thread.serial: self._span(thread) for thread in threads}
        named = sum((self._calls[thread.serial] for thread in threads), collections.Counter[str]())
        names = {thread.name for thread in threads}
        processes = {leaders[thread.pid].name for thread in threads}
        return LiveGroup(
            role=role,
            name=min(names) if len(names) == 1 else kind(min(names)),
            process=min(processes) if len(processes) == 1 else kind(min(processes)),
            threads=len(threads),
            alive=sum(not thread.ended for thread in threads),
            pids=tuple(sorted({thread.pid for thread in threads})),
            wall=sum(span.wall for span in spans.values()),
            cpu=sum(span.cpu for span in spans.values()),
            run_queue=sum(span.run_queue for span in spans.values()),
            asleep=sum(span.asleep for span in spans.values()),
            calls=sum(span.calls for span in spans.values()),
            errors=sum(self._errors[thread.serial] for thread in threads),
            bytes=sum(self._bytes[thread.serial] for thread in threads),
            waits=self._waits(threads, spans),
            named_calls=tuple((name, number) for name, number in named.most_common() if number),
        )

    def _span(self, thread: Followed) -> _Span:
        old = self._before.threads.get(thread.serial)
        since = max(self._before.at, thread.born)
        wall = max(0, thread.at - (old.at if old else since))
        return _Span(
            wall=wall,
            cpu=min(wall, max(0, thread.cpu - (old.cpu if old else 0))),
            run_queue=min(wall, max(0, thread.delay + thread.preempted - (old.delay + old.preempted if old else 0))),
            asleep=min(wall, max(0, thread.wait - (old.wait if old else 0))),
            calls=max(0, thread.calls - (old.calls if old else 0)),
        )

    def _waits(self, threads: Iterable[Followed], spans: Mapping[int, _Span]) -> tuple[LiveWait, ...]:
        parts: dict[tuple[str, str], _Part] = collections.defaultdict(_Part)
        for thread in threads:
            asleep = spans[thread.serial].asleep
            if thread.asleep:
                part = parts[thread.asleep.call or OUTSIDE, thread.asleep.queue]
                now = min(asleep, thread.at - thread.asleep.since)
                part.ns, part.now = part.ns + now, part.now + 1
                asleep -= now
            ended = self._sleeps.get(thread.serial, [])
            whole = sum(ns for _, _, ns in ended)
            for sleep, number, ns in ended:
                part = parts[sleep.call or OUTSIDE, sleep.queue]
                part.ns += asleep * ns // whole if whole else 0
                part.causes[of_sum(sleep, self._after.threads)] += number
        waits = [
            LiveWait(call, queue, part.ns, part.causes.total(), part.now, tuple(part.causes.most_common()))
            for (call, queue), part in parts.items()
        ]
        return tuple(sorted(waits, key=lambda wait: -wait.ns))


@dataclass(frozen=True, slots=True)
class _Span:
    wall: int
    cpu: int
    run_queue: int
    asleep: int
    calls: int


class _Part:
    def __init__(self) -> None:
        self.ns = self.now = 0
        self.causes: collections.Counter[Cause] = collections.Counter()


@functools.lru_cache(maxsize=2)  # a moment is the end of an interval, and the begin of the next
def _each(moment: Moment) -> Collection[_Row]:
    """The rows of calls, those of one key together: a burst that is open has a row of its own."""
    found: dict[tuple[int, str, object, int], _Row] = {}
    for row in moment.calls:
        key = (row.thread, row.name, row.descriptor, row.outcome)
        had = found.get(key)
        count, moved = (had.count, had.bytes) if had else (0, 0)
        found[key] = _Row(row.thread, row.name, row.descriptor, row.outcome, row.errno, count + row.count, moved + row.bytes)
    return found.values()


@dataclass(frozen=True, slots=True)
class _Row:
    thread: int
    name: str
    descriptor: object
    outcome: int
    errno: str | None
    count: int
    bytes: int


@functools.lru_cache(maxsize=2)
def _sleeps(moment: Moment) -> dict[tuple[object, ...], tuple[SleepSum, int, int]]:
    """The rows of sleeps with their counts and times, those that differ only in numbers of stacks together."""
    found: dict[tuple[object, ...], tuple[SleepSum, int, int]] = {}
    for row in moment.sleeps:
        key = (row.thread, row.call, row.stack, row.waker, row.waker_thread, row.open)
        _, count, ns = found.get(key, (row, 0, 0))
        found[key] = (row, count + row.count, ns + row.wait)
    return found


def live_roles(moment: Moment) -> dict[int, Role]:
    """The role of each thread, from its sums until then. A thread's role may change when it does something new."""
    done: dict[int, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    sockets: set[int] = set()
    for row in moment.calls:
        if row.outcome > 0:
            done[row.thread][row.name] += row.count
        if row.bytes and row.descriptor and row.descriptor.family:
            sockets.add(row.thread)
    slept: dict[int, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for sleep in moment.sleeps:
        slept[sleep.thread][sleep.queue] += sleep.count
    found = {serial: _role(thread, done[serial], slept[serial], serial in sockets) for serial, thread in moment.threads.items()}
    process_of = {thread.serial: thread.pid for thread in moment.threads.values()}
    masters = {
        process_of[thread.parent]
        for thread in moment.threads.values()
        if found[thread.serial] in _SERVES and process_of.get(thread.parent, thread.pid) != thread.pid
    }
    serving = {thread.pid for thread in moment.threads.values() if found[thread.serial] in _SERVES}
    for thread in moment.threads.values():
        if thread.pid in masters - serving and thread.tid == thread.pid:
            found[thread.serial] = Role.MASTER
    return found


def _role(thread: Followed, done: Mapping[str, int], slept: Mapping[str, int], on_sockets: bool) -> Role:
    accepts = any(name in done for name in syscalls.ACCEPTS)
    if thread.kernel_worker:
        return Role.KERNEL_WORKER
    if (accepts or on_sockets) and any(name in done for name in syscalls.LOOP_WAITS):
        return Role.LOOP
    if accepts:
        return Role.SERVER if on_sockets else Role.ACCEPTOR
    if thread.tid == thread.pid:
        return Role.MAIN
    if on_sockets:
        return Role.WORKER
    sleeps = sum(slept.values())
    if not sleeps and not thread.calls:
        return Role.IDLE
    return Role.TIMER if slept.get(Queue.TIMER, 0) >= _MOSTLY * max(sleeps, 1) else Role.HELPER
