"""In which call a server slept most, on recordings."""

from __future__ import annotations

import pytest

from findings.sleeps.asleep import slept_besides, slept_in
from tests.conftest import measured


@pytest.mark.parametrize(
    ("lab", "name", "queue"),
    [("epoll", "epoll_wait", "epoll"), ("blocking", "accept4", "accept"), ("select", "pselect6", "select")],
)
def test_the_longest_sleeps_come_first(lab: str, name: str, queue: str) -> None:
    longest = max(slept_in(measured(lab).calls), key=lambda each: each.ns)
    assert slept_in(measured(lab).calls)[0] == longest
    assert any((each.name, each.queue) == (name, queue) and each.times > 1 for each in slept_in(measured(lab).calls))


def test_words_name_the_call_the_queue_and_the_time() -> None:
    reads = [call for call in measured("blocking").calls if call.name == "recvfrom"]
    (only,) = slept_in(reads)
    assert only.words.startswith(f"slept {only.times} times in recvfrom, on the socket's queue, for ")


def test_accepts_and_reads_of_connections_are_no_other_sleeps() -> None:
    assert slept_besides(measured("blocking").calls) == ""
    assert "times in epoll_wait for " in slept_besides(measured("epoll").calls)
