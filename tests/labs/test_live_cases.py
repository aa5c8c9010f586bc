"""The labs with several servers, on this kernel: each server answers, and the checks hold."""

from __future__ import annotations

import pytest

import labs
from tests.labs.test_live import PHASES, run

pytestmark = pytest.mark.live
# Servers of which no client gets a whole message back, by lab.
WITHOUT_AN_ECHO = {"textbook": ("select long", "one message long"), "edge_undrained": ("broken",), "short_write": ("broken",)}


@pytest.mark.parametrize("lab", sorted(name for name in labs.names() if labs.find(name).cases))
def test_every_server_of_a_lab_answers_and_its_checks_hold(kernel: None, lab: str) -> None:
    document = run(lab)
    assert document["events"]["lost"] == document["events"]["unmatched"] == 0
    ran = [case for case in document["cases"] if not case["skipped"]]
    assert len(ran) == len(labs.find(lab).cases) or lab == "io_uring"  # whose variants not every kernel offers
    assert sum(len(case["threads"]) for case in ran) == len(document["threads"])
    for case in ran:
        assert case["name"] in WITHOUT_AN_ECHO.get(lab, ()) or case["round_trip_ns"]["p50"] > 0
        for row in case["calls"]:
            assert row["total_ns"] == sum(row[phase] for phase in PHASES)
