"""`bench` as the user starts it: its answer, its exit codes, and nothing left after Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from probes.patience import PATIENCE
from runs.bench.workloads import lacking
from tests.conftest import COMMAND, cannot, iolab


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--only", "epol"], "bench has no workload 'epol'"),
        (["--tools", "gdb"], "bench has no tool 'gdb'"),
        (["--rounds", "many"], "--rounds many is not a number"),
        (["--rounds", "0"], "--rounds 0 is out of range"),
    ],
)
def test_wrong_usage_is_one_sentence(options: list[str], words: str) -> None:
    done = iolab("bench", *options)
    assert done.returncode == 2 and words in done.stderr and not done.stdout


@pytest.fixture
def compiler() -> None:
    if absent := lacking({"gcc": "gcc libc6-dev"}):
        cannot(absent, "install it")


@pytest.mark.live
def test_the_answer_is_a_json_document_and_a_page(kernel: None, compiler: None, tmp_path: Path) -> None:
    page = tmp_path / "cost.md"
    line = ["bench", "--only", "eagain", "--tools", "iolab,empty", "--rounds", "1", "--json", "--write", str(page)]
    done = iolab(*line)
    assert done.returncode == 0, done.stderr
    assert "1 round of 1 workload, each under 3 conditions: about " in done.stderr
    (workload,) = json.loads(done.stdout)["workloads"]
    assert [tool["name"] for tool in workload["tools"]] == ["untraced", "iolab", "empty"]
    assert all(tool["operation_ns"] and not tool["failures"] for tool in workload["tools"])
    assert workload["tools"][1]["lost"] == 0 and workload["tools"][1]["calls"] == workload["tools"][1]["expected"]
    assert page.read_text().startswith("# What tracing costs\n")


@pytest.mark.live
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_nothing_is_left_after_the_end(kernel: None, compiler: None, number: signal.Signals, tmp_path: Path) -> None:
    line = [*COMMAND, "bench", "--only", "eagain", "--tools", "empty", "--rounds", "100"]
    env = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=env) as runner:
        assert runner.stderr
        while "round 2 of" not in runner.stderr.readline():
            assert runner.poll() is None
        process = psutil.Process(runner.pid)
        while len(children := process.children(recursive=True)) < 2:  # the guard, and a program
            assert runner.poll() is None
            time.sleep(0.01)
        runner.send_signal(number)
        _, errors = runner.communicate(timeout=30 * PATIENCE)
    assert runner.returncode == (130 if number == signal.SIGINT else -number), errors
    _gone, alive = psutil.wait_procs(children, timeout=10 * PATIENCE)
    for child in alive:
        child.kill()
    assert not alive
    assert not list(tmp_path.iterdir())  # the guard, which has ended, removes the files
