"""Where a command's answer goes: stdout, or the file that --out names; and progress, which goes to stderr."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import IO

from commands import layout
from probes import files
from probes.errors import WrongUsage
from probes.words import visible_lines

VERDICT_CODES = {"pass": 0, "fail": 1, "inconclusive": 3}
CANNOT_WRITE = 2  # the exit status if an output failed


def progress(words: str) -> None:
    """Prints a line on stderr. If stderr can't be written, the work goes on."""
    with contextlib.suppress(OSError, ValueError):
        print(layout.for_stream(f"iolab: {visible_lines(words)}", sys.stderr), file=sys.stderr, flush=True)


def check(*paths: str, tell: Callable[[str], None] = progress) -> None:
    """Checks before the work that these files can be written, and tells what iolab can't promise. Raises WrongUsage."""
    for path in paths:
        caution = files.check(path) if path else ""
        if caution:
            tell(caution)


@contextlib.contextmanager
def output(out: str, default: IO[str] | None = None) -> Iterator[IO[str]]:
    """Where the report goes: the file that --out names, whole or not at all, or `default` (stdout).

    Raises WrongUsage if it can't be written. If the reader of stdout has gone, SIGPIPE ends the process.
    """
    if out:
        with files.whole(out) as file:
            yield file
        return
    stream = sys.stdout if default is None else default
    try:
        yield stream
        stream.flush()
    except BrokenPipeError:
        _end_by_sigpipe()
    except OSError as error:
        _forget(stream)
        if error.errno != errno.EBADF:  # EBADF: the user has closed stdout, and wants no report
            raise WrongUsage(f"can't write the report: {error.strerror or error}", "name a file for it: --out FILE") from error


@contextlib.contextmanager
def growing_output(out: str, default: IO[str]) -> Iterator[IO[str]]:
    """Where single lines go: the file that --out names, to which each line is written at once, or `default`."""
    if not out:
        with output("", default) as stream:
            yield stream
        return
    with files.growing(out) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", line_buffering=True)
        yield text
        text.detach()


def _forget(stream: IO[str]) -> None:
    """Lets the interpreter write the rest of the stream's buffer to /dev/null when the process ends."""
    null = os.open(os.devnull, os.O_WRONLY)
    with contextlib.suppress(OSError, ValueError):
        os.dup2(null, stream.fileno())
    os.close(null)


def _end_by_sigpipe() -> None:
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGPIPE)
