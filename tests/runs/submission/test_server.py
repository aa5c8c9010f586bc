"""Hostile servers in the sandbox: each gets an answer, and nothing of it is left."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from probes.patience import PATIENCE
from runs.submission import control_groups
from runs.submission.listening import Address
from runs.submission.server import Submission
from tests.conftest import ROOT
from tests.runs.submission.programs import DAEMON, FOREVER, PORT, PYTHON, SERVE, gone, printed, runs


@pytest.mark.live
def test_a_server_listens_and_ends_on_sigterm(start: Callable[..., Submission]) -> None:
    with start(SERVE + "print(os.getpid(), os.getuid(), os.getcwd(), flush=True)\n" + FOREVER) as server:
        assert server.listening() == Address("127.0.0.1", PORT, expected=True)
        assert printed(server, "submission").split() == ["300", "61184", "/tmp/submission"]
        ending = server.terminate()
        assert (ending.status, ending.left) == (-15, 0)
    assert gone(server)


@pytest.mark.live
def test_a_server_that_ignores_sigterm_is_named_and_killed(start: Callable[..., Submission]) -> None:
    with start("signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SERVE + FOREVER) as server:
        server.listening()
        assert server.terminate(seconds=0.6).status is None
    assert gone(server)


@pytest.mark.live
def test_a_daemon_in_a_session_of_its_own_is_counted_and_ends(start: Callable[..., Submission]) -> None:
    with start(SERVE + DAEMON + FOREVER) as server:
        server.listening()
        printed(server, "daemon")
        assert server.terminate().left == 1
    assert gone(server)


RUNNER = """
import sys, time
sys.path.insert(0, {root!r})
from runs.submission.launch import Launch
from runs.submission.server import Submission
with Submission(Launch(({python!r}, "server.py"), {folder!r}, strict=True), 300, 23456) as server:
    server.listening()
    print(server.namespace, flush=True)
    time.sleep(60)
"""


@pytest.mark.live
def test_nothing_is_left_when_the_runner_is_killed(start: Callable[..., Submission], tmp_path: Path) -> None:
    with start(SERVE + DAEMON + FOREVER):
        words = RUNNER.format(root=str(ROOT), python=PYTHON, folder=str(tmp_path / "submission"))
    with subprocess.Popen([sys.executable, "-c", words], stdout=subprocess.PIPE, text=True) as runner:
        assert runner.stdout
        init = int(runner.stdout.readline())
        assert runs(init)
        runner.kill()
    end = time.monotonic() + 10 * PATIENCE
    while runs(init) and time.monotonic() < end:
        time.sleep(0.01)
    assert not runs(init)
    groups = [Path()]
    while groups and time.monotonic() < end:  # while a process ends, its group can't be removed
        with start(SERVE + FOREVER) as server:
            server.listening()
        groups = [folder for parent in control_groups.group_folders() for folder in parent.glob(f"iolab-{runner.pid}-*")]
    assert groups == []
