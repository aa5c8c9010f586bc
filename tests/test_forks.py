"""Forks report what pytest's own loop reports, and a fork that dies fails its test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from probes.patience import PATIENCE
from tests.conftest import ROOT

FILE = """
import os, pytest
@pytest.mark.parametrize("number", range(30))
def test_one_of_many(number): assert number != 17, "seventeen"
def test_prints(): print("said"); assert [1, 2] == [1, 3]
@pytest.fixture(scope="session")
def opened(tmp_path_factory):
    yield tmp_path_factory.mktemp("once")
    with open(os.environ["CLOSED"], "a") as file: file.write("closed ")
def test_has_a_fixture(opened): assert opened.is_dir()
def test_is_skipped(): pytest.skip("cause")
"""
LIVE = """
import pytest
done = []
@pytest.mark.live
@pytest.mark.parametrize("number", range(40))
def test_shares(number):
    done.append(number)
    assert done == [*range(number + 1)]
"""
DIES = "import os\ndef test_dies(): os.kill(os.getpid(), 9)\ndef test_follows(): pass\n"


def test_forks_report_what_pytest_reports_and_a_dead_fork_fails_its_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "test_it.py").write_text(FILE)
    (tmp_path / "test_dies.py").write_text(DIES)
    (tmp_path / "test_live.py").write_text(LIVE)
    monkeypatch.setenv("CLOSED", str(tmp_path / "closed"))
    words = ["-p", "no:cacheprovider", "-p", "tests.forks", "--forks", "2", "-ra", "--rootdir", str(tmp_path), str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-I", str(ROOT / "runs" / "start.py"), "pytest", *words],
        cwd=tmp_path, capture_output=True, text=True, timeout=60 * PATIENCE,
    )  # fmt: skip
    assert done.returncode == 1
    *_, last = done.stdout.splitlines()
    assert "4 failed, 70 passed, 1 skipped" in last
    named = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "SKIPPED"))]
    assert [line.split(" - ")[0].partition(" ")[2] for line in sorted(named)] == [
        "test_dies.py::test_dies",
        "test_dies.py::test_follows",
        "test_it.py::test_one_of_many[17]",
        "test_it.py::test_prints",
        "[1] test_it.py:11: cause",
    ]
    assert "AssertionError: seventeen" in done.stdout and "At index 1 diff: 2 != 3" in done.stdout
    assert "said" in done.stdout.partition("Captured stdout call")[2]
    assert "the test has no report; the forks ended with the statuses" in done.stdout and "-9" in done.stdout
    assert (tmp_path / "closed").read_text() == "closed "
