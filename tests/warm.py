"""`invoke ARGUMENTS` in a fork of the tests' own process, which has imported everything and compiled the probes already.

For emulated machines: there Python's start and BCC's compiler take most of a minute, and with every run of the live tests most
of an hour. What the command does in the kernel is the same. On a real machine the tests start the command as a user does.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Mapping, Sequence
from typing import IO

# what the commands import themselves when they need it: imported here, each fork has it
import reports.document
import reports.terminal.page  # noqa: F401
import tasks


def run(
    arguments: Sequence[str], stdin: str, timeout: float, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """As subprocess.run(..., capture_output=True, text=True) with that many seconds of time; raises TimeoutExpired."""
    with tempfile.TemporaryFile("w+") as source, tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        source.write(stdin)
        source.seek(0)
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if child == 0:
            _become(arguments, (source, out, err), environment)
        pid = os.pidfd_open(child)
        try:
            ended, _, _ = select.select([pid], [], [], timeout)
            if not ended:
                signal.pidfd_send_signal(pid, signal.SIGKILL)
        finally:
            os.close(pid)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        for file in (out, err):
            file.seek(0)
        if not ended:
            raise subprocess.TimeoutExpired(list(arguments), timeout, out.read(), err.read())
        return subprocess.CompletedProcess(list(arguments), status, out.read(), err.read())


def _become(arguments: Sequence[str], files: Sequence[IO[str]], environment: Mapping[str, str]) -> None:
    """Makes this fork what a newly started Python would be, runs the command, and ends."""
    status = 70
    try:
        for number, file in enumerate(files):
            os.dup2(file.fileno(), number)
        sys.stdin, sys.stdout, sys.stderr = open(0, closefd=False), open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
        warnings.resetwarnings()
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = ["tasks.py", *arguments]
        status = tasks.main(list(arguments))
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(status)
