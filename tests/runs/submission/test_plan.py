"""The limits of a strict server."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from runs.submission import plan
from runs.submission.server import Submission
from tests.runs.submission.programs import SERVE, gone, printed

BOMB = """
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
children = 0
while True:
    try:
        if os.fork() == 0:
            signal.pause()
            os._exit(0)
        children += 1
    except OSError as error:
        print('refused', children, error.strerror, flush=True)
        signal.pause()
"""


@pytest.mark.live
def test_forks_without_end_meet_a_limit(start: Callable[..., Submission]) -> None:
    with start(SERVE + BOMB) as server:
        server.listening()
        refused, children, *_error = printed(server, "refused").split()
        assert refused == "refused" and int(children) < plan.LIMITS["NPROC"]
    assert gone(server)
