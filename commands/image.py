"""`invoke image`: the container image, built and tried."""

from __future__ import annotations

import signal

from commands import options, outputs

HELP = options.REPORT_HELP | {
    "only": "run only the trials whose name contains this text",
    "whole": "run all tests in the container, not only the live tests of the instrument",
}


def image(only: str = "", whole: bool = False, json: bool = False, out: str = "") -> int:
    """Build the container image and test every command in it, with and without privileges."""
    from machines import image as trying

    outputs.check(out)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the command removes what it made
    rows = list(trying.tried(outputs.progress, only, whole))
    with outputs.output(out) as file:
        trying.write(rows, file, json)
    return 0 if all(row.verdict == "pass" for row in rows) else 1
