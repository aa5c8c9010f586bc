"""The benchmark's table fits a terminal of 80 columns; its JSON and its page say the same."""

from __future__ import annotations

import dataclasses
import io
import json

from reports import bench as report
from runs.bench.figures import Bench, Outcome
from runs.bench.rounds import Plan
from runs.bench.workloads import WORKLOADS
from tests.runs.bench.test_figures import BARE, EMPTY, HOST, STRACE, bare, bench, traced

RESULT = dataclasses.replace(
    bench(
        bare(0, 300), bare(1, 320), traced(STRACE, 0, 125_000, 5000, 4990), traced(STRACE, 1, 99_000, 5000, 5000),
        traced(EMPTY, 0, 430, 90_000, None), Outcome("eagain", "empty", 1, None, None, "empty\x1b[2J ended early"),
    ),
    left_out={"bpftrace hist": "bpftrace is missing: apt-get install bpftrace"},
)  # fmt: skip


def written(result: Bench, json: bool = False) -> str:
    file = io.StringIO()
    report.write(result, file, json)
    return file.getvalue()


def test_the_table_fits_80_columns_and_stays_a_table() -> None:
    text = written(RESULT)
    assert max(map(len, text.splitlines())) <= 80
    (line,) = (line for line in text.splitlines() if line.startswith("strace -f -T"))
    assert line.split()[3:] == ["112", "us", "98.7..125", "0.3", "%", "0.2..0.3", "0.50", "2", "0.10", "0.1", "%"]
    assert "untraced: 310 ns 300..320 per call" in text
    assert "- without bpftrace hist: bpftrace is missing: apt-get install bpftrace" in text
    assert "\x1b" not in text and "a run has no result: empty\\x1b[2J ended early" in text


def test_the_json_document_has_the_spread_of_each_figure() -> None:
    document = json.loads(written(RESULT, json=True))
    assert document["schema_version"] == 2 and document["machine"]["kernel"] == HOST.kernel
    (workload,) = document["workloads"]
    untraced, _empty, strace = workload["tools"]
    assert untraced["added_ns"] is None and untraced["operation_ns"] == {"median": 310, "lowest": 300, "highest": 320}
    assert strace["added_ns"] == {"median": 111_690, "lowest": 98_690, "highest": 124_690}
    assert (strace["calls"], strace["expected"], strace["lost"]) == (9990, 10_000, 10)


def test_a_busy_machine_is_called_busy() -> None:
    assert "busy" not in written(RESULT)
    assert "the machine was busy" in written(dataclasses.replace(RESULT, host=dataclasses.replace(HOST, load=5.0)))


def test_the_page_names_the_machine_the_tools_and_every_row() -> None:
    file = io.StringIO()
    report.write_page(RESULT, file)
    page = file.getvalue()
    assert "kernel 6.18, x86_64, 2 CPUs (a processor); load average at the start: 0.1" in page
    assert "* strace -- version 6.1" in page and report.AGAIN in page
    assert "| strace -f -T | 112 us 98.7..125 | 0.3 % 0.2..0.3 | 0.50 s | 2 MB | 0.10 s | 9,990 of 10,000 | 0.1 % |" in page
    assert "| empty probes | 120 ns | 72 % | 0.50 s | 2 MB | 0.10 s | - | - |" in page


def test_the_duration_is_said_before_the_start() -> None:
    plan = Plan(WORKLOADS[:2], (BARE, EMPTY, STRACE), 3, {})
    assert report.duration_words(plan).startswith("3 rounds of 2 workloads, each under 3 conditions: about ")
