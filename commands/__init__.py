"""One command of the command line a file: a function of the file's name, and HELP for its options. tasks.py gathers them."""

from __future__ import annotations

from probes import VERSION


def version() -> str:
    """What `./iolab --version` says."""
    return VERSION
