"""The running server of a submission: its start in the sandbox, where it listens, its end."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from types import TracebackType

import psutil

from probes.capture.prctl import handed_over
from probes.errors import LabBroken
from probes.patience import PATIENCE
from runs import sandbox
from runs.submission import control_groups, isolation, usage
from runs.submission.control_groups import MEMORY
from runs.submission.ending import ENDS_WITHIN, Ending, how_ended
from runs.submission.exchange import Exchange
from runs.submission.launch import Launch
from runs.submission.listening import STARTS_WITHIN, Address, NotListening, chosen, listeners
from runs.submission.output import Output
from runs.submission.plan import plan_of

_SETTLED = 0.1  # seconds without a new thread


class Submission:
    """A server that runs. At the end of the `with` block nothing of it is left.

    `number` is the process id of the server in its own pid namespace, by which the probes' result tells servers apart; without
    such a namespace it becomes the id that the machine gave.
    """

    def __init__(self, launch: Launch, number: int, port: int, cookie: int | None = None) -> None:
        self.launch, self.number, self.port = launch, number, port
        self._init = 0  # the process id of the init of the server's pid namespace, in the namespace of the runner
        self._printed = Output()
        self._stack = contextlib.ExitStack()
        try:
            self._start(cookie)
        except BaseException:
            self.close()
            raise

    def _start(self, cookie: int | None) -> None:
        groups = (
            self._stack.enter_context(control_groups.groups(f"iolab-{os.getpid()}-{self.number}")) if self.launch.strict else ()
        )
        self._control, theirs = socket.socketpair()
        self._stack.enter_context(self._control)
        self._exchange = Exchange(self._control)
        reader, writer = os.pipe()
        invitation = self._stack.enter_context(handed_over(cookie)) if cookie is not None else None
        plan = plan_of(self.launch, self.number, self.port, invitation, groups)
        passed = [theirs.fileno(), writer, *([invitation] if invitation is not None else [])]
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", sandbox.__file__, str(theirs.fileno()), str(writer)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=passed,
            start_new_session=True,
        )
        self._stack.callback(self._reap)
        theirs.close()
        os.close(writer)
        self._printed.read_from(reader)
        self._exchange.send(sandbox.encoded(plan))
        if self._exchange.wait(20 * PATIENCE, lambda: self._exchange.news.started is not None):
            self.number = self._exchange.news.started or 0
            self._init = next((child.pid for child in psutil.Process(self._process.pid).children()), 0)
        if not self._init:
            raise self._failure()

    def _failure(self) -> LabBroken:
        """The error of a sandbox that did not start the server: the last line that it printed."""
        assert self._process.stderr is not None
        self._process.kill()
        words = self._process.stderr.read().decode(errors="replace").strip().splitlines()
        return LabBroken("the sandbox of the server failed", words[-1] if words else "is the machine overloaded?")

    # -- what happens ------------------------------------------------------------------------------------------------

    @property
    def namespace(self) -> int:
        """A process in the server's network namespace, by its id here; 0: the server is on the machine's own network."""
        return 0 if "net" in isolation.missing() else self._init

    @property
    def ended(self) -> int | None:
        """The status of the server's first process, a signal's number negative; None: no end was reported yet."""
        return self._exchange.news.ended

    @property
    def refused(self) -> tuple[str, ...]:
        """The mounts of the sandbox that this machine refused."""
        return self._exchange.news.refused

    @property
    def stopped(self) -> str:
        """Why iolab ended the server; "" if it did not."""
        used = self._exchange.news.memory
        if used is None:
            return ""
        return f"the server used {used >> 20:,} MB of memory, more than {MEMORY >> 20:,} MB: iolab ended it"

    @property
    def alive(self) -> bool:
        """Does the server's first process run?"""
        self._exchange.take()
        return self.ended is None

    def ends_within(self, seconds: float) -> bool:
        """Does the server's first process end within that time? A crash takes its time, for a traceback or a core."""
        self._exchange.take()
        return self._exchange.wait(seconds * PATIENCE, lambda: self.ended is not None)

    # -- where it listens --------------------------------------------------------------------------------------------

    def listening(self, seconds: float = STARTS_WITHIN) -> Address:
        """Waits until the server listens. Raises NotListening, with what it did instead."""
        end = time.monotonic() + seconds * PATIENCE
        while True:
            if found := listeners(self._init):
                return chosen(found, self.port)
            if not self.alive:
                raise NotListening(f"the server {how_ended(self.ended)} before it listened{self._last_words()}")
            if time.monotonic() > end:
                raise NotListening(f"the server listened on no TCP port within {seconds:g} s{self._last_words()}")
            self._exchange.take(0.01)

    def settle(self, seconds: float = 1.0) -> None:
        """Waits until the server starts no more threads and processes for a moment: a pool may be made after the listen."""
        end, before, since = time.monotonic() + seconds, -1, time.monotonic()
        while time.monotonic() < min(end, since + _SETTLED):
            number = usage.threads(self._init)
            if number != before:
                before, since = number, time.monotonic()
            time.sleep(0.01)

    def memory(self) -> int:
        """The memory of the server and of all that it started, bytes, shared memory in parts (PSS)."""
        return usage.memory(self._init)

    def cpu_seconds(self) -> float:
        """The CPU time of the server's processes that run."""
        return usage.cpu_seconds(self._init)

    # -- its end -----------------------------------------------------------------------------------------------------

    def terminate(self, seconds: float = ENDS_WITHIN) -> Ending:
        """Sends SIGTERM, again while the server runs on: Python may miss a signal between its look and a call that sleeps."""
        begin = time.monotonic()
        end = begin + seconds * PATIENCE
        while self.alive and time.monotonic() < end:
            self._exchange.signal("SIGTERM")
            self._exchange.take(0.5)
        took = time.monotonic() - begin
        return Ending(self.ended, took, self._left_running())

    def _left_running(self) -> int:
        """How many processes of the server still run. Those that are about to end get a moment."""
        end = time.monotonic() + 0.5 * PATIENCE
        while True:
            left = self._exchange.left(5 * PATIENCE) or 0
            if not left or time.monotonic() > end or self.ended is None:
                return left
            time.sleep(0.02)

    @property
    def flooded(self) -> bool:
        """Did the server print more than iolab reads?"""
        return self._printed.flooded

    @property
    def output(self) -> str:
        """What the server printed, without control characters; the middle of a long output is missing."""
        return self._printed.text

    def _last_words(self) -> str:
        if self.ended is not None:
            self._printed.wait(0.5 * PATIENCE)  # until the pipe's end: no process has it open for writing any more
        lines = self.output.splitlines()
        return f"; its last line of output: {lines[-1][:200]}" if lines else "; it printed nothing"

    def _reap(self) -> None:
        """Ends the sandbox: its init ends when its socket closes, and with the init every process of the server."""
        self._control.close()
        try:
            self._process.wait(10 * PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()  # its init has asked to end with it
            self._process.wait()
        self._printed.close()
        if self._process.stderr:
            self._process.stderr.close()

    def close(self) -> None:
        """Ends the server and all that it started."""
        self._stack.close()

    def __enter__(self) -> Submission:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
