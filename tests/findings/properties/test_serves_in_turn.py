"""Reads of other connections while a message is unread: as an exhaustive search counts them, with bursts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from findings.properties.serves_in_turn import most_overtaken
from findings.view import Run
from probes.kernel import syscalls
from tests.conftest import measured


def run_of(lab: str, case: str) -> Run:
    run = Run(measured(lab))
    return run.case(case) if case else run


@pytest.mark.parametrize(
    ("lab", "case"),
    [("nonblocking", ""), ("blocking", ""), ("threads", ""), ("edge_starvation", "mended"), ("blocking_accepted", "polling")],
)
def test_the_count_is_that_of_an_exhaustive_search(lab: str, case: str) -> None:
    run = run_of(lab, case)
    reads = [call for call in run.result.calls if call.name in syscalls.READS]
    counted = max(
        sum(
            call.count
            for call in reads
            if call.thread == message.thread and message.ready <= call.enter and call.exit <= message.read
        )
        for message in run.result.messages
    )
    assert most_overtaken(run).reads == counted


def test_a_burst_counts_each_of_its_calls() -> None:
    run = run_of("nonblocking", "")
    burst = max((call for call in run.result.calls if call.name == "recvfrom"), key=lambda call: call.count)
    message = replace(run.result.messages[0], thread=burst.thread, ready=burst.enter, read=burst.exit)
    assert burst.count > 100
    assert most_overtaken(Run(replace(run.result, messages=(message,)))).reads >= burst.count
