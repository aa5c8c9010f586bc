"""The checks of the mistakes count what their statements say: all other clients, and not the slowest of them."""

from __future__ import annotations

import dataclasses

import pytest

import labs
from probes.context import CasesRun, Exchange, ServedCase
from probes.measure.result import Result, Verdict
from tests.conftest import measured


def with_one_served_at_once(lab: str, case: str) -> Result:
    """The recording, but the last client of that case got every answer within 1 ms."""
    result = measured(lab)
    context = result.context
    assert isinstance(context, CasesRun)

    def changed(served: ServedCase) -> ServedCase:
        if served.name != case or not served.traffic_seen:
            return served
        *others, last = served.traffic_seen.clients
        quick = dataclasses.replace(last, exchanges=tuple(Exchange(sent, sent + 1_000_000) for sent, _ in last.exchanges))
        return dataclasses.replace(
            served, traffic_seen=dataclasses.replace(served.traffic_seen, clients=(*others, quick))
        )  # fmt: skip

    return dataclasses.replace(result, context=dataclasses.replace(context, cases=tuple(map(changed, context.cases))))


@pytest.mark.parametrize(
    ("lab", "case", "statement"),
    [
        ("silent_client", "broken", "a silent client delays all others of a single blocking thread"),
        ("slow_handler", "broken", "a slow handler stalls every other connection"),
    ],
)
def test_all_others_are_all_others(lab: str, case: str, statement: str) -> None:
    own = {check.name: check.verdict for check in labs.find(lab).judge(measured(lab)).checks}
    changed = {check.name: check.verdict for check in labs.find(lab).judge(with_one_served_at_once(lab, case)).checks}
    assert (own[statement], changed[statement]) == (Verdict.CONFIRMED, Verdict.FAILED)
