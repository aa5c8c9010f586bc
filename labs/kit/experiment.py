"""For labs without clients: the lab's function makes the system calls itself, and the recording shows them in sections.

`section` makes a system call without effect, lseek(-1, number), which fails with EBADF. In the recording this call separates
the calls of one section from those of the next, on the thread that made it.
"""

from __future__ import annotations

import contextlib
import os
import platform
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from findings.view import NOWHERE
from probes.kernel import syscalls
from probes.patience import PATIENCE

PAUSE = 0.02  # seconds until the peer acts: long compared with any call, short for a student


class Sections:
    """The sections of an experiment by name, in the order in which they first begin."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, name: str) -> None:
        """Begins a section: the next calls of the calling thread belong to it."""
        if name not in self.names:
            self.names.append(name)
        with contextlib.suppress(OSError):
            os.lseek(NOWHERE, self.names.index(name), os.SEEK_SET)

    def outcome(self, **observed: Any) -> dict[str, Any]:
        """What an experiment returns: the names of its sections, and what it observed itself."""
        return {"sections": self.names, **observed}


@contextlib.contextmanager
def tcp_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a TCP connection over loopback."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as here,
        listener.accept()[0] as there,
    ):
        yield here, there


@contextlib.contextmanager
def later(action: Callable[[], object]) -> Iterator[None]:
    """Runs `action` on another thread after PAUSE, once the calling thread sleeps in its next call."""
    caller = threading.get_native_id()

    def wait() -> None:
        time.sleep(PAUSE)
        for _ in range(int(10 * PATIENCE)):  # on a busy or an emulated machine the caller may need longer
            if _asleep(caller):
                break
            time.sleep(PAUSE)
        action()

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _asleep(tid: int) -> bool:
    """Is that thread asleep in a system call other than futex, in which it waits for Python's lock (man 5 proc_pid_syscall)?"""
    try:
        words = Path(f"/proc/self/task/{tid}/syscall").read_text().split()
    except OSError:  # this kernel has no such file: PAUSE must be long enough
        return True
    return words[0] not in ("running", str(syscalls.numbers(platform.machine())["futex"]))
