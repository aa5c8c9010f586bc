"""Shows what a program does while it runs: a reading of the kernel's sums every second, and what changed since the one before.

No call and no sleep is reported one by one, so a busy program costs the machine no more than an idle one.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from findings.live import Interval, between
from probes.capture import running
from probes.capture.instrument import Instrument, machine
from probes.errors import WrongUsage
from probes.measure.live import LiveReader, Moment
from runs.signals import HeldSignals, from_the_terminal
from runs.trace import find, shell_status, start

EVERY = 1.0  # seconds
_PART = 4  # a reading takes at most one part in so many of the time: where it takes long, the next comes later
_LOOK = 0.1  # seconds between two looks whether the program still runs
Show = Callable[[Interval], None]


@dataclass(frozen=True)
class Watched:
    """The end of a watch: the whole time as one interval, and the status of the program (0: it was joined)."""

    whole: Interval
    status: int


class _Watch:
    """The readings of one program."""

    def __init__(self, instrument: Instrument, show: Show) -> None:
        self._instrument, self._show = instrument, show
        self._reader = LiveReader(machine().arch)
        self._first = self._last = self._read()
        self._due = time.monotonic() + EVERY

    def _read(self) -> Moment:
        reading = self._instrument.reading()
        return self._reader.read(reading.at, reading.records, reading.stacks)

    @property
    def wait(self) -> float:
        """Seconds until the next look, or the next reading."""
        return min(_LOOK, max(0.0, self._due - time.monotonic()))

    def tick(self) -> None:
        """Reads and shows, where a reading is due."""
        began = time.monotonic()
        if began < self._due:
            return
        moment = self._read()
        self._show(between(self._last, moment))
        self._last = moment
        now = time.monotonic()
        self._due = max(self._due + EVERY, now, began + _PART * (now - began))

    def whole(self) -> Interval:
        """All the time until now."""
        return between(self._first, self._read())


def run(command: list[str], show: Show, closed: Sequence[int], held: HeldSignals) -> Watched:
    """Runs a command until it and all processes that it started have ended. A signal is passed on to it while it runs; later, a
    signal such as Ctrl-C ends the watch.

    `held` are still held when this function returns. Raises WrongUsage if there is no such program.
    """
    path = find(command[0])
    try:
        with Instrument(details=0) as instrument:
            held.hold()
            watch = _Watch(instrument, show)
            process = start(path, command, instrument.invite(), closed, held)
            while process.poll() is None or instrument.followed():
                info = held.take(watch.wait)
                if info and info.si_signo != signal.SIGCHLD and not _passed_on(process, info):
                    break
                watch.tick()
            return Watched(watch.whole(), shell_status(process.returncode))
    except BaseException:
        held.release()
        raise


def _passed_on(process: subprocess.Popen[bytes], info: signal.struct_siginfo) -> bool:
    """Whether the program gets a signal: it runs. A signal from the terminal reaches it without this process."""
    if process.poll() is not None:
        return False
    if not from_the_terminal(info):
        process.send_signal(info.si_signo)
    return True


def join(pid: int, seconds: float | None, show: Show, held: HeldSignals) -> Watched:
    """Watches a process that runs already, with its threads and descendants, until all have ended, `seconds` have passed, or a
    signal such as Ctrl-C comes.

    `held` are still held when this function returns. Raises WrongUsage if there is no such process.
    """
    running.need_process(pid)
    try:
        with Instrument(details=0) as instrument:
            held.hold()
            if not instrument.adopt(pid):
                raise WrongUsage(f"process {pid} has ended", "ps -e lists the processes and their ids")
            watch = _Watch(instrument, show)
            end = None if seconds is None else time.monotonic() + seconds
            while instrument.followed() and (end is None or time.monotonic() < end):
                info = held.take(watch.wait if end is None else min(watch.wait, max(0.0, end - time.monotonic())))
                if info and info.si_signo != signal.SIGCHLD:
                    break
                watch.tick()
            return Watched(watch.whole(), 0)
    except BaseException:
        held.release()
        raise
