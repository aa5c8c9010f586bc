"""A program of the benchmark is bounded, measured, and gone with all that it started, however the runner ends."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from probes.patience import PATIENCE
from runs.bench.programs import Failed, Guard, Program
from tests.conftest import ROOT

ENV = {"PATH": os.environ["PATH"]}
SLEEPERS = ["sh", "-c", "trap '' INT TERM; sleep 600 & echo $!; wait"]


@pytest.fixture
def guard(tmp_path: Path) -> Iterator[Guard]:
    with Guard(tmp_path) as guard:
        yield guard


def printed(program: Program) -> int:
    """The number that the program prints first."""
    alive = True
    while "\n" not in (output := program.output):
        assert alive
        alive = program.alive  # before the next look at the output: a program may print and end between the two
    return int(output)


def gone(pid: int) -> bool:
    """Does this process end within seconds? Its descriptor is readable at its end, even if its parent has not waited for it."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([process], [], [], 5 * PATIENCE)[0])
    finally:
        os.close(process)


def test_a_program_that_is_not_done_in_time_is_killed_with_its_children(guard: Guard, tmp_path: Path) -> None:
    with Program(guard, "sleepers", SLEEPERS, tmp_path, ENV) as program:
        child = printed(program)
        program.interrupt()
        with pytest.raises(Failed, match=r"sleepers was not done after 0\.\d+ s"):
            program.wait(0.1 / PATIENCE)
    assert gone(program.pid) and gone(child)


def test_the_end_of_the_block_kills_what_a_program_has_left(guard: Guard, tmp_path: Path) -> None:
    with Program(guard, "leaver", ["sh", "-c", "sleep 600 & echo $!"], tmp_path, ENV) as program:
        child = printed(program)
        assert program.wait(10).status == 0
    assert gone(child)


def test_status_time_and_memory_are_the_programs_own(guard: Guard, tmp_path: Path) -> None:
    busy = "import os, time, subprocess, sys\nlist(range(3_000_000))\nwhile time.process_time() < 0.3: pass\n"
    child = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {busy!r}])\nsys.exit(7)"
    with Program(guard, "own", [sys.executable, "-c", busy], tmp_path, ENV) as program:
        own = program.wait(30)
    with Program(guard, "child", [sys.executable, "-c", child], tmp_path, ENV) as program:
        other = program.wait(30)
    assert (own.status, other.status) == (0, 7)
    assert own.cpu_s >= 0.28 and own.memory_bytes > 80e6
    assert other.cpu_s < own.cpu_s and other.memory_bytes < own.memory_bytes


def test_a_killed_program_has_a_negative_status(guard: Guard, tmp_path: Path) -> None:
    with Program(guard, "killed", ["sh", "-c", "kill -9 $$"], tmp_path, ENV) as program:
        assert program.wait(10).status == -signal.SIGKILL


RUNNER = """
import os, sys
from pathlib import Path
from runs.bench.programs import Guard, Program
folder = Path(sys.argv[1])
with Guard(folder) as guard:
    ended = Program(guard, "ended", ["true"], folder, {"PATH": os.environ["PATH"]})
    with ended:
        ended.wait(10)
    with Program(guard, "sleepers", ["sh", "-c", "sleep 600 & echo $!; wait"], folder, {"PATH": os.environ["PATH"]}) as program:
        while "\\n" not in program.output:
            pass
        print(program.pid, program.output.strip(), flush=True)
        program.wait(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_nothing_outlives_a_runner_that_a_signal_ends(tmp_path: Path, number: signal.Signals) -> None:
    line = [sys.executable, "-c", RUNNER, str(tmp_path)]
    with subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as runner:
        assert runner.stdout
        program, child = map(int, runner.stdout.readline().split())
        os.kill(runner.pid, number)
        runner.wait(30 * PATIENCE)
    assert gone(program) and gone(child)
    deadline = time.monotonic() + 10 * PATIENCE
    while tmp_path.exists():
        assert time.monotonic() < deadline, "the guard left the folder"
