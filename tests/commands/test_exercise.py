"""exercise as a student starts it: the list, a skeleton, hints, a check, and the solution after it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from runs.exercise import source
from runs.exercise.source import Language
from tests.conftest import iolab


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return iolab("exercise", *arguments, "--dir", str(folder))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["epol"], "did you mean epoll?"),
        (["epoll", "poll"], "exercise takes one name, not 2"),
        (["epoll", "--check"], "there is no file"),
        (["epoll", "--hint", "--check"], "--check and --hint do not go together"),
        (["--check"], "--check needs the name of an exercise"),
        (["epoll", "--lang", "ada"], "--lang python or --lang c"),
    ],
)
def test_wrong_usage_is_named(tmp_path: Path, arguments: list[str], words: str) -> None:
    done = run(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert words in done.stderr


def test_the_list_the_skeleton_and_the_hints(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    begun = run(folder, "epoll")
    assert begun.returncode == 0 and "says what is missing" in " ".join(begun.stdout.split()), begun.stderr
    assert (folder / "epoll_server.py").read_text() == source.load("epoll", Language.PYTHON).skeleton()
    assert "the file existed already" in run(folder, "epoll").stdout
    hint = run(folder, "epoll", "--hint").stdout
    assert "1 of 3" in hint and "2 of 3" not in hint
    assert json.loads(run(folder, "epoll", "--hint", "--json").stdout)["hints"] == [
        *source.load("epoll", Language.PYTHON).gaps[0].hints[:2]
    ]
    refused = run(folder, "epoll", "--solution")
    assert refused.returncode == 2 and "after your own file has passed" in refused.stderr
    assert "begun (0 of 5 gaps)" in run(folder).stdout


@pytest.mark.live
def test_a_file_that_passes_opens_the_solution(kernel: None, tmp_path: Path) -> None:
    run(tmp_path, "poll")
    solution = source.load("poll", Language.PYTHON).solution()
    (tmp_path / "poll_server.py").write_text("def main(:\n")
    broken = run(tmp_path, "poll", "--check")
    assert broken.returncode == 1 and "SyntaxError" in broken.stdout, broken.stderr
    (tmp_path / "poll_server.py").write_text(solution)
    done = run(tmp_path, "poll", "--check")
    assert done.returncode == 0 and "passed" in done.stdout, done.stdout
    assert run(tmp_path, "poll", "--solution").stdout == solution
    listed = json.loads(run(tmp_path, "--json").stdout)["exercises"]
    assert [each["state"] for each in listed if each["exercise"] == "poll"] == ["passed", "not begun"]
