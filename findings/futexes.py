"""What a call of futex waits for, as far as its arguments say."""

from __future__ import annotations

from probes.measure.result import Call

_WAIT, _LOCK_PI, _WAIT_BITSET, _LOCK_PI2 = 0, 6, 9, 13  # uapi/linux/futex.h
_COMMAND, _REALTIME = 0x7F, 0x100  # FUTEX_CMD_MASK, FUTEX_CLOCK_REALTIME
_CONTENDED = 2


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
