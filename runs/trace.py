"""Runs any program under the instrument. Its children, threads and execs are followed; its input, output, signals and status
stay its own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from probes import VERSION
from probes.capture import running
from probes.capture.details import DETAILS
from probes.capture.instrument import Instrument
from probes.capture.prctl import handed_over
from probes.capture.throttling import Throttling
from probes.context import TraceRun
from probes.errors import IolabError, WrongUsage
from probes.recording import Recording, Writer
from probes.words import count
from runs.ahead import Ahead
from runs.signals import HeldSignals, from_the_terminal

if TYPE_CHECKING:
    from runs.following import Follower, Lines

_OURS = {"IOLAB_CALLED", "IOLAB_STARTED", "IOLAB_PREPARED"}  # variables that ./iolab sets
_LAUNCH = Path(__file__).parents[1] / "probes" / "capture" / "launch.py"


def run(
    command: list[str],
    progress: Callable[[str], None],
    closed: Sequence[int] = (),
    signals: HeldSignals | None = None,
    details: int | None = DETAILS,
    save: str = "",
    lines: Lines | None = None,
    meanwhile: Callable[[], object] | None = None,
) -> Traced:
    """Runs the command until it has ended, and all processes that it started have ended, too.

    A signal to this process is passed on to the program. A signal after the program has ended, such as Ctrl-C, ends the
    waiting for the processes that it started. `closed` are the descriptors of 0, 1 and 2 that the user had closed: the program
    finds them closed. `signals` are still held when this function returns: the caller saves the recording, then releases them.
    `details`: how many calls and sleeps are reported one by one; None: all. `save`: a file that takes the recording while the
    program runs, so that it can be read if iolab is killed. `lines`: takes each call as it ends. `meanwhile`: work at a low
    priority during the run. Raises WrongUsage for a missing program or a bad path, CannotTrace if this machine can't trace.
    """
    path = find(command[0])
    held = signals or HeldSignals()
    try:
        with Instrument(details=details) as instrument, _Saving(instrument, save, tuple(command)) as saving:
            held.hold()
            follower = _follower(instrument, lines)
            throttling = Throttling(os.getpid())
            process = start(path, command, instrument.invite(), closed, held)
            status = _wait(process, held, throttling, meanwhile)
            if instrument.followed():
                progress("the program has ended; processes that it started still run (Ctrl-C ends the recording)")
                _wait_for_descendants(instrument, held)
            context = TraceRun(VERSION, tuple(command), shell_status(status), throttled=throttling.since())
            recording = _stop(instrument, follower, context, progress, held)
            saving.finish(recording)
    except BaseException:
        held.release()
        raise
    if signals is None:
        held.release()
    return Traced(recording, shell_status(status), saving.error)


def _stop(
    instrument: Instrument, follower: Follower | None, context: TraceRun, progress: Callable[[str], None], held: HeldSignals
) -> Recording:
    """Ends the recording, and waits for the lines of its last calls."""
    if follower is None:
        progress("reading the recorded events")
    recording = instrument.stop(context)
    if follower:
        follower.finish(held)
    return recording


def _follower(instrument: Instrument, lines: Lines | None) -> Follower | None:
    if lines is None:
        return None
    from runs.following import Follower  # a start without --follow does not wait for what it imports

    return Follower(instrument, lines)


def find(program: str) -> str:
    """Where a program is. Raises WrongUsage if there is none."""
    path = shutil.which(program)
    if path is None:
        raise WrongUsage(f"there is no program {program!r}", "give its path, or a name that is on PATH")
    return path


@dataclass(frozen=True)
class Traced:
    """A run of `trace`: the recording; the command's status, 128 + N if signal N killed it, as a shell reports it; and why the
    recording could not be saved.
    """

    recording: Recording
    status: int
    error: IolabError | None = None


class _Saving:
    """A file that takes the recording while the program runs; nothing if `path` is empty."""

    def __init__(self, instrument: Instrument, path: str, command: tuple[str, ...]) -> None:
        self._instrument, self._path, self._command = instrument, path, command
        self._held = contextlib.ExitStack()
        self._writer: Writer | None = None
        self.error: IolabError | None = None

    def __enter__(self) -> _Saving:
        if self._path:
            head = self._instrument.head(TraceRun(VERSION, self._command))
            self._writer = self._held.enter_context(Writer.open(self._path, head))
            self._instrument.write_to(self._writer)
        return self

    def finish(self, recording: Recording) -> None:
        """Writes the end. A full disk is kept as an error: the report comes all the same."""
        if self._writer:
            try:
                self._writer.finish(recording)
                self._held.close()
            except OSError as error:
                why = error.strerror or str(error)
                self.error = WrongUsage(f"can't write {self._path}: {why}", "name a file on a disk with more room")
            except ValueError as error:
                self.error = WrongUsage(f"can't write {self._path}: {error}", "record less: --details 10000")
            except IolabError as error:
                self.error = error

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(OSError, IolabError):
            self._held.close()


def join(
    pid: int,
    seconds: float | None,
    progress: Callable[[str], None],
    signals: HeldSignals,
    details: int | None = DETAILS,
    save: str = "",
    lines: Lines | None = None,
) -> Traced:
    """Follows a process that runs already, with its threads and descendants, until all have ended or `seconds` have passed.

    A signal such as Ctrl-C ends the recording, too, and is not passed on: the process goes on as if nothing had been.
    `signals` are still held when this function returns. Raises WrongUsage if there is no such process.
    """
    command = running.need_process(pid).split("\0")
    try:
        with Instrument(details=details) as instrument, _Saving(instrument, save, tuple(command)) as saving:
            signals.hold()
            follower = _follower(instrument, lines)
            throttling = Throttling(pid)
            number = instrument.adopt(pid)
            if not number:
                raise WrongUsage(f"process {pid} has ended", "ps -e lists the processes and their ids")
            words = "Ctrl-C ends the recording" if seconds is None else f"for {seconds:g} s; Ctrl-C ends the recording earlier"
            progress(f"following {count(number, 'thread')} of process {pid} ({words})")
            end = None if seconds is None else time.monotonic() + seconds
            while instrument.followed() and not (follower and follower.unread) and (end is None or time.monotonic() < end):
                info = signals.take(_LOOK if end is None else max(min(_LOOK, end - time.monotonic()), 0))
                if info and info.si_signo != signal.SIGCHLD:
                    break
                throttling.look(pid)
            context = TraceRun(VERSION, tuple(command), joined=pid, throttled=throttling.since())
            recording = _stop(instrument, follower, context, progress, signals)
            saving.finish(recording)
            return Traced(recording, 0, saving.error)
    except BaseException:
        signals.release()
        raise


_LOOK = 0.1  # seconds between two checks whether the process still runs


def start(path: str, command: list[str], cookie: int, closed: Sequence[int], held: HeldSignals) -> subprocess.Popen[bytes]:
    """Starts the program by launch.py, which restores the signal mask and says the cookie."""
    launch = [sys.executable, "-I", "-S", "-B", str(_LAUNCH), str(os.getpid())]
    with handed_over(cookie) as invitation:
        os.set_inheritable(invitation, True)
        return subprocess.Popen(
            [*launch, str(invitation), _numbers(closed), _numbers(sorted(held.blocked_before)), path, *command],
            close_fds=False,  # descriptors that the shell opened for the program are the program's; ours close on exec
            env={key: value for key, value in os.environ.items() if key not in _OURS},
            cwd=".",  # keeps subprocess from posix_spawn: glibc's leaves the signals 32 and 33 ignored
        )


def _numbers(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers))


def _wait(
    process: subprocess.Popen[bytes], held: HeldSignals, throttling: Throttling, meanwhile: Callable[[], object] | None
) -> int:
    """Waits for the end of the program, and passes signals on to it. Its status as Popen gives it.

    A signal from the terminal reaches the program without this process: the program is in the same process group.
    """
    ahead = Ahead(meanwhile) if meanwhile else None
    while (status := process.poll()) is None:
        info = held.take(throttling.next_look)
        throttling.look(process.pid)
        if info and info.si_signo != signal.SIGCHLD and not from_the_terminal(info):
            process.send_signal(info.si_signo)
    if ahead:
        ahead.finish()
    while held.take(0):  # sent before the program ended: they do not end the waiting for its descendants
        pass
    return status


def _wait_for_descendants(instrument: Instrument, held: HeldSignals) -> None:
    """Waits until no thread is followed any more, or until a signal comes."""
    while instrument.followed():
        info = held.take(0.05)
        if info and info.si_signo != signal.SIGCHLD:
            return


def shell_status(status: int) -> int:
    """The status of a process as a shell reports it."""
    return 128 - status if status < 0 else status
