"""For labs without clients: a function that makes the calls in question by itself, in sections that the recording shows.

`section` makes a system call that fails and means nothing, lseek(-1, number): in the recording it stands between the calls
of one section and those of the next, on the thread that said it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

NOWHERE = -1
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
    """Does something on another thread after PAUSE, while the calling thread goes on."""
    timer = threading.Timer(PAUSE, action)
    timer.start()
    try:
        yield
    finally:
        timer.join()
