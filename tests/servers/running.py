"""Servers as processes of their own, for the tests: started, watched, ended."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.conftest import ROOT

Server = tuple[subprocess.Popen[str], int]


@contextlib.contextmanager
def started(*arguments: str) -> Iterator[Server]:
    """`python -m servers ARGUMENTS` and its port. Skips the test if this machine can't run the server."""
    line = [sys.executable, "-m", "servers", *arguments, "--port", "0", "--with-parent", str(os.getpid())]
    with subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stderr
        words = process.stdout.readline()
        if not words:
            said = process.stderr.read()
            assert process.wait() == 2 and "can't run here" in said, said
            pytest.skip(said.strip())
        ready, host, port = words.split()
        assert (ready, host) == ("ready", "127.0.0.1")
        try:
            yield process, int(port)
        finally:
            process.kill()


def ended(process: subprocess.Popen[str], how: signal.Signals) -> int | None:
    """The exit status. A signal may come between Python's check and its sleep (runs/processes.py): then it waits again."""
    for _ in range(3):
        process.send_signal(how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(5)
    return None


def runnable_ns(pid: int) -> int:
    """Nanoseconds on a CPU or waiting for one so far, of all threads of the process and of its children.

    A server that spins wants a CPU all the time, whether a busy machine gives it one or not (/proc/PID/schedstat).
    """
    return sum(sum(map(int, (task / "schedstat").read_text().split()[:2])) for task in _tasks(pid))


def runnable(pid: int) -> bool:
    """Is any of its threads on a CPU or waiting for one now? The figures above count a wait only when it is over."""
    return any((task / "stat").read_text().rpartition(")")[2].split()[0] == "R" for task in _tasks(pid))


def _tasks(pid: int) -> list[Path]:
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return [task for process in processes for task in Path(f"/proc/{process.pid}/task").iterdir()]


def falls_quiet(process: subprocess.Popen[str], client: socket.socket, within: float = 5) -> bool:
    """Does the server, all its clients silent, come to want less than a tenth of a CPU over 0.2 s, within so many seconds?

    A thread of SQPOLL looks for requests for another 0.1 s before it goes to sleep. A busy machine makes that longer.
    """
    limit = time.monotonic() + within
    while time.monotonic() < limit:
        began, before = time.monotonic_ns(), runnable_ns(process.pid)
        assert not select.select([client], [], [], 0.2)[0], "nobody sent anything"
        wanted = runnable_ns(process.pid) - before
        if wanted < (time.monotonic_ns() - began) / 10 and not runnable(process.pid):
            return True
    return False
