"""Work that is needed after the program's end, and can be done while the program runs: at a low priority."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable

# With nice 10, a thread gets a tenth of the CPU time of each thread of the program, where all CPUs are busy. Below that, it
# could keep the interpreter for long while another thread waits for it.
_NICE = 10


class Ahead:
    """A function that runs in a thread of its own, which takes no signals. On Linux each thread has its priority
    (setpriority(2)).
    """

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work
        self._nice = os.getpriority(os.PRIO_PROCESS, 0)
        self._thread = threading.Thread(target=self._run, name="iolab-ahead", daemon=True)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self._thread.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _run(self) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), max(self._nice, _NICE))
        self._work()

    def finish(self) -> None:
        """Waits for the end of the work, which now has the priority of this process."""
        if self._thread.native_id is not None and self._thread.is_alive():
            with contextlib.suppress(OSError):  # it has just ended, or a container lacks CAP_SYS_NICE
                os.setpriority(os.PRIO_PROCESS, self._thread.native_id, self._nice)
        self._thread.join()
