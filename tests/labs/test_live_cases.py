"""The labs with several servers, on this kernel: each server answers, and the checks hold.

The servers mostly wait for their clients. So several labs at a time run under the same probes; the servers of one lab run one
after the other. A lab that does not pass in this way is run alone, by its command, as a user would run it.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import labs
from findings.view import of_process
from labs.kit.lab import Case
from labs.kit.traffic import Traffic
from probes.capture.instrument import Instrument
from probes.context import CasesRun, ServedCase
from probes.measure.measure import measure
from probes.measure.result import Result
from probes.measure.table import table
from probes.patience import PATIENCE
from reports import document as documents
from runs.lab import NotHere, check, serve
from runs.report import report
from tests.labs.test_live import PHASES, run

pytestmark = pytest.mark.live
# Servers of which no client gets a whole message back, by lab.
WITHOUT_AN_ECHO = {"textbook": ("select long", "one message long"), "edge_undrained": ("broken",), "short_write": ("broken",)}
AT_ONCE = 3  # labs
BY_ITS_COMMAND = {"io_uring"}  # its command also does what the tests below leave out: the run without probes, the report
LABS = sorted(name for name in labs.names() if labs.find(name).cases)
BATCHES = [tuple(LABS[first::3]) for first in range(3)]  # so that no recording becomes large


@functools.cache
def together(batch: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The reports of these labs."""
    names = [lab for lab in batch if lab not in BY_ITS_COMMAND]
    with Instrument() as instrument, ThreadPoolExecutor(AT_ONCE) as pool:

        def cases(lab: str) -> list[ServedCase]:
            return [_served(case, labs.find(lab).traffic, instrument.invite()) for case in labs.find(lab).cases]

        seen = dict(zip(names, pool.map(cases, names), strict=True))
        instrument.wait_until_gone(2 * PATIENCE)
        result = measure(instrument.stop())
    return {lab: documents.document(report(_judged(lab, tuple(seen[lab]), result))) for lab in names}


def _served(case: Case, traffic: Traffic, cookie: int) -> ServedCase:
    """One server of a lab with its clients."""
    words = dataclasses.replace(traffic, **case.traffic).words
    try:
        served = serve(case, traffic, cookie)
    except NotHere as error:
        return ServedCase(name=case.name, server=case.server, traffic_words=words, skipped=str(error))
    return ServedCase(
        name=case.name,
        server=case.server,
        traffic_words=words,
        pid=served.pid,
        traffic_seen=served.traffic_seen,
        witness=served.witness,
    )


def _judged(lab: str, cases: tuple[ServedCase, ...], result: Result) -> Result:
    """What of the result belongs to the lab, with its verdicts."""
    parts = [of_process(result, case.pid) for case in cases if case.pid]
    calls = tuple(sorted((call for part in parts for call in part.calls), key=lambda call: call.enter))
    mine = dataclasses.replace(
        result,
        calls=calls,
        rows=table(calls, result.probes),
        messages=tuple(message for part in parts for message in part.messages),
        threads=tuple(thread for part in parts for thread in part.threads),
        socket_names=tuple(name for part in parts for name in part.socket_names),
        socket_ends=tuple(end for part in parts for end in part.socket_ends),
    )
    traffic = labs.find(lab).traffic
    return check(
        dataclasses.replace(mine, context=CasesRun(lab=lab, traffic=traffic.sent, traffic_words=traffic.words, cases=cases))
    )


@pytest.mark.parametrize("lab", LABS)
def test_every_server_of_a_lab_answers_and_its_checks_hold(kernel: None, lab: str) -> None:
    (batch,) = [batch for batch in BATCHES if lab in batch]
    document = together(batch).get(lab)
    if document is None or document["verdict"] != "pass":
        document = run(lab)
    assert document["events"]["lost"] == document["events"]["unmatched"] == 0
    ran = [case for case in document["cases"] if not case["skipped"]]
    assert len(ran) == len(labs.find(lab).cases) or lab == "io_uring"  # whose variants not every kernel offers
    assert sum(len(case["threads"]) for case in ran) == len(document["threads"])
    for case in ran:
        assert case["name"] in WITHOUT_AN_ECHO.get(lab, ()) or case["round_trip_ns"]["p50"] > 0
        for row in case["calls"]:
            assert row["total_ns"] == sum(row[phase] for phase in PHASES)
