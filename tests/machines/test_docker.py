"""The Docker daemon that the trials start ends with them."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from machines import docker as daemons
from tests.conftest import ROOT, cannot


@pytest.mark.live
def test_the_daemon_ends_with_its_starter_even_after_kill_9() -> None:
    if daemons.reachable():
        pytest.skip("a Docker daemon runs already, so the trials start none; to make it run: stop that daemon")
    if problem := daemons.why_none():
        cannot(problem.problem, problem.remedy)
    script = (
        "import sys, time\nfrom machines import docker\n"
        "with docker.daemon(lambda words: None) as daemon:\n    print(daemon.socket, flush=True)\n    sys.stdin.read()"
    )
    line = [sys.executable, "-c", script]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as runner:
        assert runner.stdout
        socket = runner.stdout.readline().strip()
        try:
            assert Path(socket).exists() and _processes_with(socket)
        finally:
            runner.send_signal(signal.SIGKILL)
    end = time.monotonic() + 20
    while left := _processes_with(socket):
        assert time.monotonic() < end, left
        time.sleep(0.05)


def _processes_with(socket: str) -> list[str]:
    """The ids of the processes whose command line has this socket."""
    processes = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if f"--host=unix://{socket}".encode() in path.read_bytes():
                processes.append(path.parent.name)
        except OSError:  # the process has just ended
            continue
    return processes
