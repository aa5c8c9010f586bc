"""What a call of futex waits for, as far as its arguments say."""

from __future__ import annotations

import collections

from findings.view import Run
from probes.measure.result import Call

_WAIT, _WAKE, _LOCK_PI, _WAIT_BITSET, _LOCK_PI2 = 0, 1, 6, 9, 13  # uapi/linux/futex.h
_COMMAND, _REALTIME = 0x7F, 0x100  # FUTEX_CMD_MASK, FUTEX_CLOCK_REALTIME
_CONTENDED = 2
_THREADS, _SLEEPS = 3, 5  # that use a futex as a lock


def locks_mutex(call: Call) -> bool:
    """Does the call wait for a mutex? Another futex may stand for a condition, a semaphore or the end of a thread.

    glibc's mutex waits with FUTEX_WAIT for the value 2 (sysdeps/nptl/lowlevellock.h: locked, with waiters), Rust's mutex with
    FUTEX_WAIT_BITSET for the same value and without a time-out. A condition variable of glibc uses FUTEX_WAIT_BITSET with
    FUTEX_CLOCK_REALTIME. FUTEX_LOCK_PI is always a mutex.
    """
    if call.name != "futex" or len(call.args) < 4:
        return False
    command = call.args[1] & _COMMAND
    if command in (_LOCK_PI, _LOCK_PI2):
        return True
    contended = call.args[2] & 0xFFFFFFFF == _CONTENDED and not call.args[3]
    return contended and (command == _WAIT or (command == _WAIT_BITSET and not call.args[1] & _REALTIME))


class Locks:
    """The futexes of a run that its threads use as locks.

    A lock of Python is a semaphore, whose futex looks like that of a queue. But the threads that wait for a lock also release
    it: each of them wakes another thread at the same address about as often as it sleeps there. A thread that waits for work
    wakes no other thread there, except at the end.
    """

    def __init__(self, run: Run) -> None:
        self._processes = {thread.serial: thread.pid for thread in run.result.threads}
        sleeps: collections.Counter[tuple[int, int, int]] = collections.Counter()
        wakes: collections.Counter[tuple[int, int, int]] = collections.Counter()
        for call in run.result.named("futex"):
            if len(call.args) > 1:
                key = self._processes[call.thread], call.args[0], call.thread
                if call.args[1] & _COMMAND == _WAKE:
                    wakes[key] += call.count
                elif call.sleeps:
                    sleeps[key] += 1
        users = collections.Counter(key[:2] for key, number in sleeps.items() if number >= _SLEEPS and 2 * wakes[key] >= number)
        self._locks = {key for key, number in users.items() if number >= _THREADS}

    def waited_for(self, call: Call) -> bool:
        """Does the call wait for a lock?"""
        if call.name != "futex" or not call.args:
            return False
        return locks_mutex(call) or (self._processes[call.thread], call.args[0]) in self._locks
