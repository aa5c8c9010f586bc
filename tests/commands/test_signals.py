"""Signals to the runner: at any end of the runner, no process of iolab is left running."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence

import psutil
import pytest

from probes.patience import PATIENCE
from tests.conftest import COMMAND

INT, TERM, HUP, KILL = signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL
LAB = ["lab", "processes", "--messages", "5", "--gap-ms", "100"]
pytestmark = pytest.mark.live


def ended_by(line: Sequence[str], at_work: Callable[[list[str]], bool], signals: Sequence[int]) -> tuple[int, str]:
    """Sends the signals, by name, to a runner whose children are at work. Returns its status and its output.

    The children are stopped before: a stopped process ends by SIGKILL only, so none of them ends by itself. A server's process
    may be stopped before it asks the kernel to end with the runner: it continues then, and must end at once.
    """
    with subprocess.Popen([*COMMAND, *line], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as runner:
        assert runner.stderr
        while "traced: " not in (words := runner.stderr.readline().replace("untraced", "")) and "experiment" not in words:
            assert runner.poll() is None
        process = psutil.Process(runner.pid)
        while not at_work([child.name() for child in process.children(recursive=True)]):
            assert runner.poll() is None
            time.sleep(0.01)
        processes = process.children(recursive=True)
        for child in processes:
            child.suspend()
        for number in signals:
            os.kill(runner.pid, number)
        _, errors = runner.communicate(timeout=30 * PATIENCE)
    _gone, alive = psutil.wait_procs(processes, timeout=5 * PATIENCE)
    for child in alive:
        if child.name() == "processes":
            child.resume()
    _gone, alive = psutil.wait_procs(alive, timeout=5 * PATIENCE)
    for child in alive:
        child.kill()
    assert not alive, alive
    return runner.returncode, errors


def serving(names: list[str]) -> bool:
    """The server has forked a process for a client: the server and the clients have asked the kernel to end with the runner."""
    return names.count("processes") >= 2


@pytest.mark.parametrize(
    "signals",
    [(INT, INT, INT), (TERM,), (HUP,), (INT, TERM), (KILL,)],
    ids=lambda signals: "+".join(signal.Signals(number).name for number in signals),
)
def test_no_server_and_no_client_is_left(kernel: None, signals: Sequence[int]) -> None:
    status, errors = ended_by(LAB, serving, signals)
    assert status in (130, -signals[-1]) and "Traceback" not in errors, errors
    if set(signals) == {INT}:
        assert status == 130 and "interrupted" in errors


@pytest.mark.parametrize("number", [INT, KILL])
def test_no_experiment_is_left(kernel: None, number: int) -> None:
    status, errors = ended_by(["lab", "terms"], lambda names: "experiment" in names, [number])
    assert status in (130, -number) and "Traceback" not in errors, errors


@pytest.mark.parametrize("number", [INT, KILL])
def test_no_link_is_left(kernel: None, number: int) -> None:
    status, errors = ended_by([*LAB, "--link", "delay=20ms"], serving, [number])
    assert status in (130, -number) and "Traceback" not in errors, errors
