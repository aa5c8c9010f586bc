"""Wrong servers in C: each is refused by the criterion that looks for its fault, in words that name the fault.

Their right twins, the solutions of the exercises, pass in tests/labs/test_exercises.py.
"""

from __future__ import annotations

import pytest

from probes.patience import PATIENCE
from tests.conftest import tool
from tests.runs.grading.wrong_in_c import RACY, SERVERS, WrongServer, marks

TRIES = 3  # whether a thread dies of SIGPIPE, or takes what another has taken, depends on who gets a CPU


def test_each_is_a_right_server_with_a_change() -> None:
    for server in (*SERVERS, *RACY):
        assert server.text


@pytest.mark.live
@pytest.mark.skipif(PATIENCE > 1, reason="18 servers take hours on an emulated machine; to make it run: a real machine")
def test_each_is_refused_by_its_criterion_in_words_that_name_the_fault(kernel: None) -> None:
    tool("cc", "gcc libc6-dev")
    left: tuple[WrongServer, ...] = SERVERS
    for _ in range(TRIES):
        judged = list(zip(left, marks(left), strict=True))
        left = tuple(server for server, mark in judged if not server.is_named(mark))
        if not left:
            break
    assert not left, [(server.name, [(item.verdict, item.seen) for item in mark.items]) for server, mark in judged]
