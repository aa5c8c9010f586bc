"""Forks report what pytest's own loop reports, and a fork that dies fails its test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

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
DIES = "import os\ndef test_dies(): os.kill(os.getpid(), 9)\ndef test_follows(): pass\n"


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[int, str]:
    """pytest on the files of the folder: its status and its summary."""
    monkeypatch.setenv("CLOSED", str(folder / "closed"))
    line = [sys.executable, "-I", str(ROOT / "runs" / "start.py"), "pytest", "-p", "no:cacheprovider", "-ra", *words]
    done = subprocess.run(
        [*line, "--rootdir", str(folder), str(folder)], cwd=folder, capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stdout


def outcomes(printed: str) -> list[str]:
    return sorted(line for line in printed.splitlines() if line.startswith(("FAILED", "SKIPPED", "E  ")))


def test_forks_report_what_one_process_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "test_it.py").write_text(FILE)
    alone = run(tmp_path, monkeypatch)
    assert alone[0] == 1 and "3 failed" not in alone[1] and "2 failed, 30 passed, 1 skipped" in alone[1]
    forked = run(tmp_path, monkeypatch, "-p", "tests.forks", "--forks", "2")
    assert forked[0] == 1 and "2 failed, 30 passed, 1 skipped" in forked[1]
    assert outcomes(forked[1]) == outcomes(alone[1])
    assert "said" in forked[1].partition("Captured stdout call")[2]
    assert (tmp_path / "closed").read_text() == "closed closed "


def test_a_fork_that_dies_fails_its_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "test_dies.py").write_text(DIES)
    (tmp_path / "test_it.py").write_text("def test_passes(): pass\n")
    status, printed = run(tmp_path, monkeypatch, "-p", "tests.forks", "--forks", "2")
    assert status == 1 and "2 failed, 1 passed" in printed
    assert "FAILED test_dies.py::test_dies - the test has no report" in printed and "-9" in printed
