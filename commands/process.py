"""The process of iolab itself: its first descriptors, its end with the terminal, and what it needs to trace."""

from __future__ import annotations

import io
import os
import signal
import sys
from pathlib import Path

from probes.errors import CannotTrace

ROOT = Path(__file__).resolve().parents[1]

_closed_at_start: tuple[int, ...] = ()


class NeedsPreparing(CannotTrace):
    """BCC or the privilege to trace is missing. ./iolab may be able to provide it, by a package or by Docker."""


def prepare_process() -> None:
    """Opens /dev/null on each of the descriptors 0 to 2 that is closed: no file of iolab gets their numbers."""
    global _closed_at_start
    closed = []
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # open(2) returns the lowest free number: this descriptor
            closed.append(descriptor)
    _closed_at_start = tuple(closed)
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8")  # noqa: SIM115 (print would write to stdout where this is None)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # arguments and names may hold any bytes


def closed_at_start() -> tuple[int, ...]:
    """Which of the descriptors 0, 1 and 2 the user had closed: a traced program must find them closed, too."""
    return _closed_at_start


def need_tracing() -> None:
    """Raises NeedsPreparing where this process may not load probes, or has no BCC to make them."""
    from probes.capture.privileges import need_bcc, need_privileges

    try:
        need_privileges()
        need_bcc()
    except CannotTrace as error:
        raise NeedsPreparing(error.problem, error.remedy) from error


def prepare() -> None:
    """Goes back to ./iolab, which installs BCC or starts the container image, then runs the same command again.

    Returns if ./iolab has tried this already, or if the user did not start ./iolab. The environment says only that ./iolab was
    started. It does not name the file to execute, so a wrong environment can't start another program.
    """
    if not os.environ.get("IOLAB_STARTED") or os.environ.get("IOLAB_PREPARED"):
        return
    sys.stdout.flush()
    sys.stderr.flush()
    script = str(ROOT / "iolab")
    os.execv(script, [script, "--prepare", *sys.argv[1:]])


def outlive_the_terminal(save: str) -> None:
    """With a recording to keep, SIGHUP (the terminal has gone) does not end the run. Started programs keep the default."""
    if save and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, lambda _number, _frame: None)
