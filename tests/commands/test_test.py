"""The command test: each part of the tests runs once, what failed is printed last, and an interrupted job ends the rest."""

from __future__ import annotations

import sys

import pytest

from commands import test as command
from commands.test import Job, Jobs
from tests.conftest import ROOT


def job(statement: str) -> Job:
    """A job that executes the statement; timeit is a module of Python's own."""
    return Job(("timeit", "-n", "1", "-r", "1", "-s", statement, "0"))


FAILS, IS_INTERRUPTED = job("import sys; sys.exit(1)"), job("import os; os.kill(os.getpid(), 15)")
PASSES = job("print('said')")


def test_a_job_that_failed_fails_the_command_and_is_named_last(capfd: pytest.CaptureFixture[str]) -> None:
    jobs = Jobs()
    jobs.run([FAILS, PASSES], [PASSES])
    assert jobs.summary() == 1
    lines = capfd.readouterr().out.splitlines()
    assert lines.count("said") == 2
    assert [line.split(" in ")[0] for line in lines[-3:]] == ["passed", "passed", "failed (status 1)"]


def test_where_all_passed_the_command_passes() -> None:
    jobs = Jobs()
    jobs.run([PASSES])
    assert jobs.summary() == 0


def test_after_an_interrupted_job_no_other_begins(capfd: pytest.CaptureFixture[str]) -> None:
    jobs = Jobs()
    jobs.run([IS_INTERRUPTED, *[PASSES] * 50])
    assert jobs.summary() == 1
    assert capfd.readouterr().out.count("runs: ") < 51


def test_the_tests_that_run_alone_exist_and_do_not_run_again() -> None:
    for path in command._TIMED:
        assert (ROOT / path).exists(), path
        assert path in command._timed().words and f"--ignore={path}" in command._live().words


def test_a_job_that_gives_way_has_a_lower_priority() -> None:
    assert Job(("mypy", ".")).line[0] == sys.executable
    assert Job(("mypy", "."), gives_way=True).line[:3] == ["nice", "-n", "10"]
