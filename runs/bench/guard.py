"""Kills the process groups of a benchmark whose runner has died, and removes its files: `python -m runs.bench.guard FOLDER`.

The runner writes a line "+GROUP" for each process group that it has started, and "-GROUP" once the group has ended. The pipe
is at its end when the runner has ended, also by SIGKILL. The tools are programs of others: they do
not ask the kernel to end with the runner (PR_SET_PDEATHSIG is a request of the process itself).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Iterable


def left(lines: Iterable[str]) -> list[int]:
    """The process groups that were started and have not ended, by the runner's lines.

    >>> left(["+12", "+13", "-12"])
    [13]
    """
    groups: dict[int, None] = {}
    for line in lines:
        number = int(line[1:])
        if line.startswith("+"):
            groups[number] = None
        else:
            groups.pop(number, None)
    return list(groups)


if __name__ == "__main__":
    for group in left(sys.stdin):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
    shutil.rmtree(sys.argv[1], ignore_errors=True)  # of mkdtemp(3): no other user can write into it
