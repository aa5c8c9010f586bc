"""A class to measure grade-all with: as many folders as wanted, each with a server that starts."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from machines import course


def test_each_submission_is_another_server_until_all_are_there(tmp_path: Path) -> None:
    known = list(course.servers())
    assert len(known) == len(set(known)) > 150
    made = course.write(tmp_path / "class", 3)
    assert [path.name for path in made] == [f"{place:03}-{model}-{name}" for place, (model, name) in enumerate(known[:3])]
    assert all(os.access(path / "serve", os.X_OK) for path in made)


def test_a_submission_starts(tmp_path: Path) -> None:
    if not Path("/usr/bin/python3").exists():
        pytest.skip("/usr/bin/python3 is missing; to make it run: apt-get install python3")
    (folder,) = course.write(tmp_path / "class", 1)
    with subprocess.Popen([folder / "serve", "0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        server.kill()
    assert line.startswith("ready "), line
