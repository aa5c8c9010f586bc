"""A server's output is limited, and its control characters are made visible."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from runs.submission.server import Submission
from tests.runs.submission.programs import SERVE, gone


@pytest.mark.live
def test_a_flood_of_output_and_escapes_reaches_no_terminal(start: Callable[..., Submission]) -> None:
    program = "sys.stdout.buffer.write(b'\\x1b[2J\\xff\\x07start\\n')\nsys.stdout.flush()\n" + SERVE
    program += "while True: sys.stdout.buffer.write(b'flood' * 20000)\n"
    with start(program) as server:
        server.listening()
        end = time.monotonic() + 10
        while not server.flooded and time.monotonic() < end:
            time.sleep(0.01)
        assert server.flooded
        assert len(server.output) < 100_000
        assert server.output.startswith("\\x1b[2J") and "start" in server.output
        assert "\x1b" not in server.output
    assert gone(server)
