"""Help, errors and progress break between words: at 60 and 80 columns, on a terminal and in a pipe."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from commands import layout
from commands.line import commands
from tests.conftest import iolab

MESSAGE = "iolab: --s can mean --save, --seconds, --slower-than, --slowest, --speedscope, --sqlite or --stacks\n  invoke --help"
COMMAND = "    python3 -m pip install --no-deps " + " ".join(f"package-{number}==1.0" for number in range(9))


@pytest.fixture
def terminal() -> Iterator[IO[str]]:
    """A terminal of 60 columns."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("4H", 25, 60, 0, 0))
    with os.fdopen(follower, "w") as file:
        yield file
    os.close(leader)


def test_a_message_on_a_terminal_has_whole_words(terminal: IO[str]) -> None:
    lines = layout.for_stream(MESSAGE, terminal).split("\n")
    assert max(map(len, lines)) <= 60 < max(map(len, MESSAGE.split("\n")))
    assert " ".join(line.strip() for line in lines) == " ".join(MESSAGE.split())
    assert lines[-1] == "  invoke --help"


def test_a_command_to_copy_stays_whole(terminal: IO[str]) -> None:
    assert layout.for_stream(f"no package\n  install them:\n{COMMAND}", terminal).endswith(f"\n{COMMAND}")


def test_a_pipe_gets_a_message_as_it_is() -> None:
    assert layout.for_stream(MESSAGE, io.StringIO()) == MESSAGE
    with Path(os.devnull).open("w") as file:
        assert layout.for_stream(MESSAGE, file) == MESSAGE


@pytest.mark.parametrize("columns", ["60", "80", "200", ""])
def test_the_help_of_each_command_fits(columns: str) -> None:
    """Only a word that is longer than its column may go beyond."""
    width = min(int(columns or 80), 80)
    for command in commands():
        page = iolab(command.name, "--help", COLUMNS=columns).stdout
        wide = [line for line in page.split("\n") if len(line) > width and len(line.split()) > 1]
        assert not wide, command.name


def test_paragraphs_stay_apart() -> None:
    assert list(layout.paragraphs("one two\nthree\n\nfour", 9)) == ["one two", "three", "", "four"]
    assert list(layout.columns([("a", "one two"), ("bcd", "three")], 13)) == ["  a     one", "        two", "  bcd   three"]
