"""check, grade and grade-all as a user starts them: statuses, outputs, and a class with hostile submissions."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import iolab


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "epol", "--", "true"], "did you mean epoll?"),
        (["check", "epoll"], "no server to start"),
        (["check", "epoll", "--protocol", "ehco", "--", "true"], "did you mean echo?"),
        (["check", "epoll", "--", "no_such_program"], "there is no program 'no_such_program'"),
        (["grade", "epoll", "--rubric", "nowhere.toml", "--", "true"], "can't read the rubric nowhere.toml"),
        (["grade", "epoll", "--folder", "nowhere", "--", "true"], "there is no folder"),
        (["grade-all", "epoll", "nowhere", "--", "true"], "there is no folder nowhere"),
    ],
)
def test_wrong_usage_is_named(arguments: list[str], words: str) -> None:
    done = iolab(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


@pytest.mark.parametrize("command", ["check", "grade", "grade-all"])
def test_the_help_shows_where_the_server_stands(command: str) -> None:
    assert "-- CMD ARGS..." in iolab(command, "--help").stdout


@pytest.mark.live
def test_grade_writes_every_format_and_ends_with_1(kernel: None, tmp_path: Path) -> None:
    paths = {name: tmp_path / name for name in ("gradescope", "junit", "csv")}
    options = [word for name, path in paths.items() for word in (f"--{name}", str(path))]
    done = iolab("grade", "epoll", "--folder", str(tmp_path), *options, "--json", "--", "/bin/sh", "-c", "exit 3")
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    found = json.loads(done.stderr)  # the document alone: no line of progress is in it
    assert (found["verdict"], found["points"], found["of"]) == ("fail", 0, 100)
    assert json.loads(paths["gradescope"].read_text())["tests"][0]["score"] == 0
    assert 'failures="17"' in paths["junit"].read_text()
    assert len(list(csv.reader(paths["csv"].read_text().splitlines()))) == 18


LISTEN = "#!/usr/bin/python3\nimport os, signal, socket, sys, time\nlistener = socket.create_server(('', int(sys.argv[1])))\n"
HOSTILE = {
    "bomb": LISTEN
    + "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\nwhile True:\n    try: os.fork()\n    except OSError: time.sleep(0.02)\n",
    "marker": LISTEN
    + "import ctypes\nlibc = ctypes.CDLL(None)\n"
    + "for cookie in range(1, 30000): libc.prctl(*map(ctypes.c_long, (0x494F4C41, cookie, 0, 0, 0)))\nsignal.pause()\n",
    "never": "#!/bin/sh\nsleep 1\n",
}


@pytest.mark.live
def test_a_class_with_hostile_submissions(kernel: None, compiled: Callable[..., Path], tmp_path: Path) -> None:
    folder, results = tmp_path / "class", tmp_path / "marks"
    for name in ("ada", *HOSTILE):
        (folder / name).mkdir(parents=True)
        if name in HOSTILE:
            (folder / name / "serve").write_text(HOSTILE[name])
            (folder / name / "serve").chmod(0o755)
        else:
            shutil.copy(compiled("epoll_echo"), folder / name / "serve")
    arguments = ["grade-all", "epoll", str(folder), "--results", str(results), "--json", "--", "./serve", "{port}"]
    done = iolab(*arguments, timeout=200)
    assert done.returncode in (1, 3), done.stderr
    marks = {mark["name"]: mark for mark in json.loads(done.stdout)["marks"]}
    assert set(marks) == {"ada", *HOSTILE}
    assert (marks["ada"]["points"], marks["ada"]["of"]) == (100, 100), marks["ada"]
    assert all(marks[name]["points"] <= 40 for name in HOSTILE), {name: marks[name]["points"] for name in HOSTILE}
    assert marks["never"]["points"] == 0
    rows = list(csv.reader((results / "marks.csv").read_text().splitlines()))
    assert [row[0] for row in rows] == ["name", *sorted(marks)]
    assert "./iolab lab" in (results / "pages" / "bomb.txt").read_text().replace("invoke", "./iolab")
    again = iolab(*arguments)
    assert "4 of 4 marks are there from an earlier start" in again.stderr
    assert json.loads(again.stdout)["marks"] == json.loads(done.stdout)["marks"]
    (folder / "never" / "serve").write_text("#!/bin/sh\nexit 7\n")
    changed = iolab(*arguments)
    assert "3 of 4 marks are there" in changed.stderr
