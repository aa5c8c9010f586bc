"""Work for the time after the program's end that can be done before it, at a low priority."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable

# If all CPUs are busy, a thread with nice 10 gets a tenth of the CPU time of a thread with nice 0 (kernel/sched/core.c,
# sched_prio_to_weight). With a lower priority, it could hold the interpreter's lock for long while another thread waits for it.
_NICE = 10
# Seconds. The work takes 0.2 s of CPU time. A program that ends sooner loses none of its own; its report comes 0.2 s later.
_AFTER = 1.0


class Ahead:
    """Runs a function after some seconds, in a thread with a low priority that takes no signals. On Linux, each thread has its
    own priority (setpriority(2)).
    """

    def __init__(self, work: Callable[[], object], after: float = _AFTER) -> None:
        self._work, self._after = work, after
        self._finishing = threading.Event()
        self._nice = os.getpriority(os.PRIO_PROCESS, 0)
        self._thread = threading.Thread(target=self._run, name="iolab-ahead", daemon=True)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self._thread.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _run(self) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), max(self._nice, _NICE))
        if not self._finishing.wait(self._after):
            self._work()

    def finish(self) -> None:
        """Waits for the end of the work, which now has the priority of this process. Work that has not begun is not done."""
        self._finishing.set()
        if self._thread.native_id is not None and self._thread.is_alive():
            with contextlib.suppress(OSError):  # the thread has just ended, or a container lacks CAP_SYS_NICE
                os.setpriority(os.PRIO_PROCESS, self._thread.native_id, self._nice)
        self._thread.join()
