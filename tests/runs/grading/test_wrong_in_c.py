"""Wrong servers in C: each is refused by the criterion that looks for its fault, in words that name the fault.

Their right twins, the solutions of the exercises, pass in tests/labs/test_exercises.py.
"""

from __future__ import annotations

import pytest

from probes.patience import PATIENCE
from runs.grading.mark import Verdict
from tests.conftest import tool
from tests.runs.grading.wrong_in_c import RACY, SERVERS, marks


def test_each_is_a_right_server_with_a_change() -> None:
    for server in (*SERVERS, *RACY):
        assert server.text


@pytest.mark.live
@pytest.mark.skipif(PATIENCE > 1, reason="18 servers take hours on an emulated machine; to make it run: a real machine")
def test_each_is_refused_by_its_criterion_in_words_that_name_the_fault(kernel: None) -> None:
    tool("cc", "gcc libc6-dev")
    passed = []
    for server, mark in zip(SERVERS, marks(SERVERS), strict=True):
        item = next(item for item in mark.items if item.criterion.id == server.refused_by)
        if item.verdict is not Verdict.LOST or server.words not in f"{item.seen} {' '.join(item.diagnosed)}":
            passed.append((server.name, item.verdict, item.seen, item.diagnosed))
    assert not passed, passed
