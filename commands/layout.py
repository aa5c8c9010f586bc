"""Text for people in lines of whole words: help, errors and progress. Only the standard library is needed."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable, Iterator
from typing import IO

_NARROWEST, _USUAL = 60, 80
_COMMAND = "    "  # a line that begins with these spaces is a command to copy: it is never broken


def help_width() -> int:
    """The width of help on stdout: that of the terminal or, in a pipe, COLUMNS; at most 80."""
    try:
        columns = os.get_terminal_size(1).columns
    except OSError:
        wanted = os.environ.get("COLUMNS", "")
        columns = int(wanted) if wanted.isdigit() else _USUAL
    return max(_NARROWEST, min(columns, _USUAL))


def paragraphs(text: str, width: int) -> Iterator[str]:
    """The lines of a text whose paragraphs are separated by empty lines."""
    for number, paragraph in enumerate(text.split("\n\n")):
        if number:
            yield ""
        yield from _wrapped(paragraph, width)


def columns(rows: Iterable[tuple[str, str]], width: int) -> Iterator[str]:
    """Two columns; the text of the second is wrapped between words."""
    rows = list(rows)
    left = max(len(name) for name, _ in rows) + 5
    for name, words in rows:
        lines = _wrapped(words, width - left) or [""]
        yield f"  {name}".ljust(left) + lines[0]
        yield from (" " * left + line for line in lines[1:])


def for_stream(text: str, stream: IO[str]) -> str:
    """A message in lines that fit a terminal. A pipe and a file get it unchanged."""
    try:
        width = max(_NARROWEST, os.get_terminal_size(stream.fileno()).columns)
    except (OSError, ValueError):
        return text
    lines: list[str] = []
    for line in text.split("\n"):
        lines += [line] if line.startswith(_COMMAND) else _wrapped(line, width, "  ")
    return "\n".join(lines)


def _wrapped(text: str, width: int, indent: str = "") -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
