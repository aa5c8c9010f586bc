"""Work before the program's end: in a thread with a low priority, until `finish` waits for it."""

from __future__ import annotations

import os
import signal
import threading

from runs.ahead import Ahead


def test_work_ahead_has_a_low_priority_and_takes_no_signal() -> None:
    seen: list[object] = []
    at_work, go_on = threading.Event(), threading.Event()

    def work() -> None:
        seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        seen.append(signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, []))
        at_work.set()
        go_on.wait()

    own = os.getpriority(os.PRIO_PROCESS, 0)
    ahead = Ahead(work, after=0)
    at_work.wait()
    assert seen == [max(own, 10), True]
    go_on.set()
    ahead.finish()
    assert os.getpriority(os.PRIO_PROCESS, 0) == own


def test_a_short_program_is_not_disturbed() -> None:
    done: list[bool] = []
    Ahead(lambda: done.append(True), after=60).finish()
    assert not done
