"""Several servers side by side, as the terminal and JSON show them."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

import labs
from probes.context import ServedCase
from probes.recording import Recording
from reports import document
from reports.terminal import page
from runs.lab import measure_and_check
from runs.report import report
from tests.conftest import cases_of, checked, reported

SIDE_BY_SIDE = [name for name in labs.names() if labs.find(name).cases]


def written(recording: Recording) -> str:
    file = io.StringIO()
    page.write(report(measure_and_check(recording)), file)
    return file.getvalue()


@pytest.mark.parametrize("lab", SIDE_BY_SIDE)
def test_every_case_has_its_column_and_its_calls_in_80_columns(lab: str) -> None:
    page.write(reported(lab), file := io.StringIO())
    text = file.getvalue()
    assert max(map(len, text.splitlines())) <= 80 and "…" not in text
    table = text.partition("side by side")[2].partition(": system calls")[0]
    for case in labs.find(lab).cases:
        assert f" {case.name} " in f" {table} ".replace("\n", " ") and f"{case.name}: system calls" in text


def test_a_case_that_could_not_be_run_is_reported(recorded: Callable[[str], Recording]) -> None:
    first, second, *rest = cases_of(recorded("silent_client"))
    skipped = ServedCase(second.name, second.server, skipped="no such thing here")
    text = written(recorded("silent_client").with_context(cases=(first, skipped, *rest)))
    assert "mended could not be run here: no such thing here" in text


def test_json_tells_each_case(recorded: Callable[[str], Recording]) -> None:
    found = document.document(report(checked("silent_client")))
    assert [case["name"] for case in found["cases"]] == ["broken", "mended", "one thread"]
    broken, mended, _ = found["cases"]
    assert broken["round_trip_ns"]["p100"] > 10 * mended["round_trip_ns"]["p100"] > 0
    assert sum(row["count"] for case in found["cases"] for row in case["calls"]) == sum(row["count"] for row in found["calls"])


def test_a_server_without_an_answer_has_no_figure_per_answer(recorded: Callable[[str], Recording]) -> None:
    (line,) = [row for row in written(recorded("edge_undrained")).splitlines() if row.startswith("calls per answer")]
    broken, mended, _level = line.removeprefix("calls per answer").split()
    assert broken == "-" and float(mended) > 1
