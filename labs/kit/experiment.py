"""For labs without clients: a function that makes the calls in question by itself, in sections that the recording shows.

`section` makes a system call that fails and means nothing, lseek(-1, number): in the recording it stands between the calls
of one section and those of the next, on the thread that said it.
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

PAUSE = 0.02  # seconds that the other side lets us wait: long against any call, short for a student


class Sections:
    """Names the sections of an experiment, in the order in which they are first said."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, name: str) -> None:
        """From here on the calling thread is in this section."""
        if name not in self.names:
            self.names.append(name)
        with contextlib.suppress(OSError):
            os.lseek(NOWHERE, self.names.index(name), os.SEEK_SET)

    def found(self, **more: Any) -> dict[str, Any]:
        """What the experiment returns."""
        return {"sections": self.names, **more}


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
    """Does something on another thread after PAUSE, when the calling thread is asleep in what it went on to do."""
    caller = threading.get_native_id()

    def wait() -> None:
        time.sleep(PAUSE)
        for _ in range(int(10 * PATIENCE)):  # a busy or an emulated machine may need longer to get there
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
    """Is that thread asleep in a system call? One in futex waits for Python's lock only (man 5 proc_pid_syscall)."""
    try:
        words = Path(f"/proc/self/task/{tid}/syscall").read_text().split()
    except OSError:  # a kernel without this file: PAUSE has to do
        return True
    return words[0] not in ("running", str(syscalls.numbers(platform.machine())["futex"]))
