"""The instrument's side of the process that empties the ring (emptier.py)."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from probes import clock
from probes.capture import emptier, ring, system
from probes.capture.emptier import AT_WORK, DRAIN, LEAVE_DETAILS, STOP
from probes.patience import PATIENCE

_PIECE = 4 << 20  # bytes that are taken from the file at once
_LONGEST = 10.0 * PATIENCE  # seconds to wait for an answer, which takes less than 0.1 s
_SCRIPT = Path(emptier.__file__)


def _lasting_parent() -> str:
    """The id of this process if the thread that starts the other process lasts as long as this process, else 0.

    The kernel watches the thread (prctl(2), PR_SET_PDEATHSIG). A stopped process does not notice that the socket was closed.
    """
    return str(os.getpid() if threading.current_thread() is threading.main_thread() else 0)


@dataclass(frozen=True)
class Orders:
    """The orders for the process. `details`, `most_bytes`: for its Budget. `walk_every`, `callbacks`: for its Settings."""

    ring_bytes: int
    details: int | None
    most_bytes: int
    walk_every: int
    callbacks: bool

    def text(self, began: int) -> bytes:
        """As a message to the process. `began`: when details began (ns)."""
        return json.dumps(vars(self) | {"began": began, "clock_offset": clock.offset_ns()}).encode()


@dataclass
class Windows:
    """When details were wanted, as far as the process decided it: ns on the probes' clock."""

    ended: list[tuple[int, int]]
    opened: int | None
    full: bool = False

    def until(self, end: int, closed: int = 0) -> tuple[tuple[int, int], ...]:
        """All windows of a recording that ended at `end`. `closed`: when the kernel side ended the last window; 0: it did not.
        The process may have been killed before it could read this.
        """
        if self.opened is not None and closed > self.opened:
            end = closed
        return (*self.ended, *([(self.opened, end)] if self.opened is not None else []))


class Emptying:
    """The process, from the construction to `stop` or `close`. It ends by itself if this process ends.

    It starts while the probes are loaded, `begin` sends its orders, and `at_work` waits until it empties the ring.
    """

    def __init__(self) -> None:
        self._windows = Windows([], None)
        self._read = self._written = 0  # bytes of the file
        self._store = io.FileIO(os.memfd_create("iolab-records"))
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.settimeout(_LONGEST)
        self._starting, self._is_at_work = threading.Lock(), False
        line = [sys.executable, "-I", "-S", "-B", str(_SCRIPT), str(theirs.fileno()), _lasting_parent()]
        # The process inherits the mask: no signal of the terminal ends it before the instrument ends it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self._process = subprocess.Popen(
                line, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        except BaseException:
            self._control.close()
            self._store.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, self._process.pid, emptier.PRIORITY)

    def begin(self, ring_fd: int, settings_fd: int, orders: Orders) -> None:
        """Details begin now."""
        began = clock.now_ns()
        self._windows = Windows([], began)
        with contextlib.suppress(OSError):  # the process has ended: the records stay in the ring
            socket.send_fds(self._control, [orders.text(began)], [ring_fd, settings_fd, self._store.fileno()])

    def at_work(self) -> None:
        """Waits until the process empties the ring: a program that starts earlier could fill it."""
        with self._starting:  # several threads may ask, and the process says it once
            if not self._is_at_work:
                with contextlib.suppress(OSError):
                    self._control.recv(len(AT_WORK))
                self._is_at_work = True

    def _ask(self, request: bytes) -> None:
        """Sends a request, and waits until the process has done what it asks for."""
        self.at_work()
        try:
            self._control.send(request + b" at %d" % self._read)
            self._written, windows, opened, full = json.loads(self._control.recv(1 << 20))
            self._windows = Windows([(begin, end) for begin, end in windows], opened, full)
        except (OSError, ValueError):  # the process has ended, or is stopped: the file has the records that it took
            self._process.kill()
            self._process.wait()
            self._written = os.fstat(self._store.fileno()).st_size

    def take(self) -> Iterator[bytes]:
        """The records that came since the last time, without their headers, in pieces of whole records."""
        self._ask(DRAIN)
        return ring.stripped(self._spans())

    def leave_details(self) -> None:
        """From now on the instrument decides when details are wanted."""
        self._ask(LEAVE_DETAILS)

    def stop(self) -> Windows:
        """Ends the process. Returns when it wanted details. `rest` gives the last records that it took."""
        self._ask(STOP)
        self._control.close()
        self._process.kill()
        self._process.wait()
        return self._windows

    def rest(self) -> Iterator[bytes]:
        """The same as `take`, after `stop`."""
        return ring.stripped(self._spans())

    def _spans(self) -> Iterator[bytes]:
        while self._read < self._written:
            span = os.pread(self._store.fileno(), min(_PIECE, self._written - self._read), self._read)
            begin, self._read = self._read, self._read + len(span)
            system.forget(self._store.fileno(), begin, self._read)
            yield span

    def close(self) -> None:
        """Ends the process, if `stop` has not done so, and closes the file."""
        self._control.close()
        self._process.kill()  # it may be stopped
        self._process.wait()
        self._store.close()
