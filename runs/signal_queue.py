"""The kernel's queue of real-time signals, filled for the processes of a server.

A signal of F_SETSIG takes a place in the queue of its user (RLIMIT_SIGPENDING, getrlimit(2)). If the queue has no place, the
kernel sends SIGIO, which needs no place (fs/fcntl.c, send_sigio_to_task). With a limit of 0, SIGIO replaces each queued signal.
"""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path

_KIND = resource.RLIMIT_SIGPENDING


@contextlib.contextmanager
def full(process: int) -> Iterator[None]:
    """Within the context, the children of this process have no place for a queued signal (prlimit(2))."""
    before: dict[int, tuple[int, int]] = {}
    for child in map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split()):
        with contextlib.suppress(OSError):
            before[child] = resource.prlimit(child, _KIND, (0, resource.prlimit(child, _KIND)[1]))
    try:
        yield
    finally:
        for child, limits in before.items():
            with contextlib.suppress(OSError):
                resource.prlimit(child, _KIND, limits)
