"""Threads do not spend their time in a queue at one lock."""

from __future__ import annotations

from dataclasses import dataclass, field

from findings.futexes import locks_mutex
from findings.properties.property import Cost, Gravity, Observation, Property, broken, held, not_shown, place_of
from findings.view import Run
from probes.measure.queues import Queue
from probes.measure.result import Call, Sleep, Thread
from probes.words import count, ms

_THREADS, _SLEEPS = 3, 30
_SHARE = 0.25  # of the life of the threads that wait for the lock
_ADDRESS_SPACE = {Queue.MMAP_LOCK, Queue.VMA_LOCK}


@dataclass
class _Lock:
    """One mutex of a process, or its mmap_lock (address None)."""

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
    """Adds up the sleeps at each mutex (its address in the call of futex), and at the lock of each address space."""
    threads = {thread.serial: thread for thread in run.result.threads}
    if all(thread.parent == 0 for thread in run.result.threads):
        return not_shown("the program has one thread")
    locks: dict[tuple[int, int | None], _Lock] = {}
    for call in run.result.calls:
        for sleep in call.sleeps:
            mutex = sleep.queue == Queue.FUTEX and locks_mutex(call)
            if mutex or sleep.queue in _ADDRESS_SPACE:
                key = threads[call.thread].pid, call.args[0] if mutex else None
                lock = locks.setdefault(key, _Lock(*key))
                lock.calls.append(call)
                lock.sleeps.append(sleep)
    convoys = sorted((lock for lock in locks.values() if lock.is_convoy(threads)), key=lambda lock: -lock.ns)
    if not convoys:
        waits = sum(len(lock.sleeps) for lock in locks.values())
        return held(
            f"{count(waits, 'sleep')} at {count(len(locks), 'lock')}, {ms(sum(lock.ns for lock in locks.values()))} in all"
        )
    worst = convoys[0]
    share = worst.ns / max(sum(threads[serial].wall for serial in worst.threads), 1)
    slept = f"slept {count(len(worst.sleeps), 'time')} at {_name(worst)}, for {ms(worst.ns)} in all"
    return broken(
        f"{count(len(worst.threads), 'thread')} {slept}: {share:.0%} of their lives",
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


def _name(lock: _Lock) -> str:
    return "the lock of their address space (mmap_lock)" if lock.address is None else f"one mutex ({lock.address:#x})"


QUEUES_AT_NO_LOCK = Property(
    id="queues-at-no-lock",
    statement="threads do not spend their time in a queue at one lock",
    remedy="hold the lock for less time (no call that sleeps), divide what it protects, or give each thread its own part",
    observe=observe,
    gravity=Gravity.LATE,
)
