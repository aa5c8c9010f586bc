"""How a server ended."""

from __future__ import annotations

from runs.submission.ending import how_ended


def test_how_a_server_ended() -> None:
    assert [how_ended(status) for status in (0, -11, -64, None)] == [
        "ended with status 0", "was killed by SIGSEGV", "was killed by SIGRTMAX", "still runs",
    ]  # fmt: skip
