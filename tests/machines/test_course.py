"""A class to measure grade-all with: as many folders as wanted, each with a server that starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from machines import course
from tests.conftest import ROOT


def test_each_submission_is_another_server_and_each_eighth_is_none_of_a_lab(tmp_path: Path) -> None:
    known = list(course.servers())
    assert len(known) == len(set(known)) > 150
    made = course.write(tmp_path / "class", 9)
    of_labs = [f"{place:03}-{model}-{name}" for place, (model, name) in zip((*range(7), 8), known, strict=False)]
    assert [path.name for path in made] == [*of_labs[:7], "007-hostile-never_listens", of_labs[7]]
    assert all(os.access(path / "serve", os.X_OK) for path in made)


def test_some_are_hostile_and_some_are_broken() -> None:
    names = {submission.name for submission in course.others()}
    assert {"hostile-forks_without_end", "hostile-becomes_a_daemon", "broken-is_empty"} <= names


def test_a_folder_that_is_there_is_not_taken(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "machines.course", tmp_path], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert ended.returncode == 2 and "exists already" in ended.stderr and tmp_path.exists()


def test_a_submission_starts(tmp_path: Path) -> None:
    if not Path("/usr/bin/python3").exists():
        pytest.skip("/usr/bin/python3 is missing; to make it run: apt-get install python3")
    (folder,) = course.write(tmp_path / "class", 1)
    with subprocess.Popen([folder / "serve", "0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        server.kill()
    assert line.startswith("ready "), line
