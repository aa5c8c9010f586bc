"""docs/add-a-model.md, followed literally in a copy of the tree: its files, its commands, and the words that it promises.

How the page is read: a python block is written to the file that its fence names, or inserted below the line of that file
which starts with the second word. A sh block is run; `fails` says that it has to, `live` that it needs the kernel. The text
block after it promises lines; blanks and line ends count alike, as a narrow terminal folds lines.
"""

from __future__ import annotations

import itertools
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from probes.patience import PATIENCE
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "add-a-model.md").read_text()
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w[^\n]*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
NEW = ("servers/signalfd.py", "labs/signalfd.py")
NOT_COPIED = shutil.ignore_patterns(".git", ".venv", ".*_cache", "*.pyc.*", "build")  # *.pyc.*: bytecode being written


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of this checkout, whose ./iolab uses the Python that runs the tests."""
    if (ROOT / NEW[1]).exists():
        pytest.skip("somebody has followed the page in this checkout; to make it run: a fresh one")
    copy = tmp_path / "iolab"
    shutil.copytree(ROOT, copy, ignore=NOT_COPIED, symlinks=True)
    python = copy / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)
    return copy


def write(tree: Path, place: str, content: str) -> None:
    name, _, below = place.partition(" ")
    path = tree / name
    if not below:
        path.write_text(content)
        return
    text, count = re.subn(rf"^{below}.*\n", lambda line: line[0] + content, path.read_text(), flags=re.MULTILINE)
    assert count == 1, f"{name} has {count} lines that start with {below}"
    path.write_text(text)


def run(tree: Path, line: str) -> tuple[int, str]:
    """A command of the page. Of ./iolab test what comes after the linters; of the pure tests those that look for the pieces."""
    words = shlex.split(line)
    if words[:2] == ["./iolab", "test"]:
        options = {"--pure": ["-m", "not live", "tests/labs", "tests/test_handouts.py", "tests/test_readme.py"]}
        chosen = [option for word in words[2:] for option in options.get(word, [word])]
        line = shlex.join([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *chosen])
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        line, shell=True, cwd=tree, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120 * PATIENCE,
        env=environment,
    )  # fmt: skip
    return done.returncode, done.stdout


def follow(tree: Path, blocks: Iterable[tuple[str, str]]) -> None:
    for fence, content in blocks:
        kind, _, more = fence.partition(" ")
        if kind == "python":
            write(tree, more, content)
        elif kind == "sh":
            said = ""
            for line in content.splitlines():
                status, words = run(tree, line)
                said += words
                assert bool(status) == (more == "fails"), f"{line} ended with {status}\n{words}"
        elif fence == "text":
            for promised in content.splitlines():
                assert squeezed(promised) in squeezed(said), f"{promised!r} is not among these words:\n{said}"


def squeezed(text: str) -> str:
    return " ".join(text.split())


def until_live() -> list[tuple[str, str]]:
    return BLOCKS[: next(index for index, (fence, _) in enumerate(BLOCKS) if fence == "sh live")]


def test_the_page_names_its_files() -> None:
    assert [fence.split()[1] for fence, _ in BLOCKS if fence.startswith("python")] == [*NEW, "tests/labs/test_checks.py"]


def test_each_missing_piece_is_named(tree: Path) -> None:
    """Without a kernel to trace: the server, then the lab, and what the tests say to each."""
    follow(tree, until_live())
    for checker in (["ruff", "check"], ["ruff", "format", "--check"]):
        subprocess.run([sys.executable, "-m", *checker, *NEW], cwd=tree, check=True)
    cache = os.environ | {"MYPY_CACHE_DIR": str(ROOT / ".mypy_cache")}
    done = subprocess.run([sys.executable, "-m", "mypy", *NEW], cwd=tree, env=cache, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.live
def test_the_page_leads_to_a_model(kernel: None, tree: Path) -> None:
    follow(tree, [block for block in BLOCKS if "fails" not in block[0] and block not in promises_of_failures()])


def promises_of_failures() -> list[tuple[str, str]]:
    """The text blocks after what has to fail, which the other test has held already."""
    return [after for before, after in itertools.pairwise(BLOCKS) if before[0] == "sh fails" and after[0] == "text"]
