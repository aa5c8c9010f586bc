"""Threads do not spend their time in a queue at one lock."""

from __future__ import annotations

import bisect
import collections
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field

from findings.properties.property import Cost, Gravity, Observation, Property, broken, held, not_shown, place_of
from findings.sleeps.futexes import Locks
from findings.sleeps.idle import Idleness, idleness_of
from findings.sleeps.waits import Tasks
from findings.spans import overlap
from findings.view import Run
from probes.measure.queues import Queue
from probes.measure.result import Call, Sleep, Thread
from probes.words import count, ms, times

_THREADS, _SLEEPS = 3, 30
_SHARE = 0.25  # of the life of the threads that wait for the lock
_LOOKED_AT = 1_000  # sleeps whose holders are looked at
_ADDRESS_SPACE = {Queue.MMAP_LOCK, Queue.VMA_LOCK}


@dataclass
class _Lock:
    """One lock of a process, or its mmap_lock (address None)."""

    process: int
    address: int | None
    calls: list[Call] = field(default_factory=list)
    sleeps: list[Sleep] = field(default_factory=list)

    @property
    def ns(self) -> int:
        return sum(sleep.wait for sleep in self.sleeps)

    @property
    def threads(self) -> set[int]:
        return {call.thread for call in self.calls}

    def is_convoy(self, threads: dict[int, Thread]) -> bool:
        """Do several threads spend a large part of their lives in its queue?"""
        lives = sum(threads[serial].wall for serial in self.threads)
        return len(self.threads) >= _THREADS and len(self.sleeps) >= _SLEEPS and self.ns >= _SHARE * max(lives, 1)


def observe(run: Run) -> Observation:
    """Adds up the sleeps at each lock (its address in the call of futex), and at the lock of each address space.

    Threads that take turns in accept under a mutex wait for work, and not for the lock (findings/sleeps/idle.py).
    """
    threads = {thread.serial: thread for thread in run.result.threads}
    if all(thread.parent == 0 for thread in run.result.threads):
        return not_shown("the program has one thread")
    locks = _locks(run, threads)
    convoys = [lock for lock in locks if lock.is_convoy(threads)]
    if convoys:
        idleness = idleness_of(run)
        convoys = [lock for lock in map(functools.partial(_held_up, idleness), convoys) if lock.is_convoy(threads)]
        convoys.sort(key=lambda lock: -lock.ns)
    if not convoys:
        waits = sum(len(lock.sleeps) for lock in locks)
        return held(f"{count(waits, 'sleep')} at {count(len(locks), 'lock')}, {ms(sum(lock.ns for lock in locks))} in all")
    worst = convoys[0]
    share = worst.ns / max(sum(threads[serial].wall for serial in worst.threads), 1)
    slept = f"slept {times(len(worst.sleeps))} at {_name(worst)}, for {ms(worst.ns)} in all"
    return broken(
        f"{count(len(worst.threads), 'thread')} {slept}: {share:.0%} of their lives{_meanwhile(run, worst)}",
        places=[
            place_of(
                threads[lock.calls[0].thread],
                lock.calls[0].name,
                None,
                lock.sleeps[0].off,
                Cost(ns=lock.ns, calls=len(lock.sleeps)),
            )
            for lock in convoys
        ],
    )


def _locks(run: Run, threads: Mapping[int, Thread]) -> list[_Lock]:
    """The locks at which a thread slept."""
    locks, used_as_locks = dict[tuple[int, int | None], _Lock](), Locks(run)
    for call in run.result.calls:
        for sleep in call.sleeps:
            mutex = sleep.queue == Queue.FUTEX and used_as_locks.waited_for(call)
            if mutex or sleep.queue in _ADDRESS_SPACE:
                key = threads[call.thread].pid, call.args[0] if mutex else None
                lock = locks.setdefault(key, _Lock(*key))
                lock.calls.append(call)
                lock.sleeps.append(sleep)
    return list(locks.values())


def _meanwhile(run: Run, lock: _Lock) -> str:
    """In which call the threads that released the lock slept longest meanwhile, as an addition to evidence."""
    tasks = Tasks(run.result.threads)
    slept: collections.Counter[str] = collections.Counter()
    for sleep in lock.sleeps[:_LOOKED_AT]:
        if holder := tasks.waker(sleep):
            for call in _between(run.calls_of.get(holder.serial, []), sleep.off, sleep.woken):
                if call.name != "futex":
                    slept[call.name] += sum(_common(own, sleep) for own in call.sleeps)
    name, ns = next(iter(slept.most_common(1)), ("", 0))
    return f"; meanwhile the holders of the lock slept longest in {name} ({ms(ns)})" if 10 * ns > lock.ns else ""


def _common(first: Sleep, second: Sleep) -> int:
    return overlap(first.off, first.woken, second.off, second.woken)


def _between(calls: list[Call], begin: int, end: int) -> list[Call]:
    """The calls of one thread that were under way in this time."""
    first = max(bisect.bisect_right(calls, begin, key=lambda call: call.enter) - 1, 0)
    return calls[first : bisect.bisect_left(calls, end, key=lambda call: call.enter)]


def _held_up(idleness: Idleness, lock: _Lock) -> _Lock:
    """The lock with those sleeps alone during which its holder worked."""
    pairs = zip(lock.calls, lock.sleeps, strict=True)
    waited = [(call, sleep) for call, sleep in pairs if idleness.of_sleep(call, sleep).held_up]
    return _Lock(lock.process, lock.address, [call for call, _ in waited], [sleep for _, sleep in waited])


def _name(lock: _Lock) -> str:
    return "the lock of their address space (mmap_lock)" if lock.address is None else f"one lock (futex {lock.address:#x})"


QUEUES_AT_NO_LOCK = Property(
    id="queues-at-no-lock",
    statement="threads do not spend their time in a queue at one lock",
    fault="threads spend their time in a queue at one lock",
    remedy="hold the lock for less time (no call that sleeps), divide what it protects, or give each thread its own part",
    observe=observe,
    gravity=Gravity.LATE,
)
