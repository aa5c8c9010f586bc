"""The tables: they say what the Result says, NULL stands for what is not known, and docs/sql.md answers its questions."""

from __future__ import annotations

import csv
import dataclasses
import functools
import importlib.util
import io
import os
import re
import sqlite3
from pathlib import Path

import pytest

from probes.measure.result import Result
from probes.recording import load
from reports.export import csv_files, sqlite, tables
from runs.lab import measure_and_check
from runs.report import report
from tests.conftest import DATA, ROOT

PAGE = (ROOT / "docs" / "sql.md").read_text()
QUESTIONS = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
SERVER, TRACE, BUDGET = "threads", "lock_in_loop", "budget"


@functools.cache
def result(name: str) -> Result:
    return measure_and_check(load(DATA / f"{name}.iolab"))


def database(of: Result) -> sqlite3.Connection:
    file = io.BytesIO()
    sqlite.write(tables.tables(report(of)), file)
    found = sqlite3.connect(":memory:")
    found.deserialize(file.getvalue())
    return found


def value(of: sqlite3.Connection, query: str) -> object:
    return of.execute(query).fetchone()[0]


def test_ten_questions_are_answered() -> None:
    server, trace = database(result(SERVER)), database(result(TRACE))
    assert len(QUESTIONS) == 10
    for question in QUESTIONS:
        assert server.execute(question).fetchall() or trace.execute(question).fetchall(), question
    first = trace.execute(QUESTIONS[-1]).fetchone()
    assert first[:2] == ("broken", "blocks-only-in-its-wait") and first[2].startswith("python3 ")


def test_the_pandas_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    compile(example, "docs/sql.md", "exec")
    queries = re.findall(r'read_sql\("(.*?)"', example)
    server = database(result(SERVER))
    assert len(queries) == 2 and all(server.execute(query).fetchall() for query in queries)
    if importlib.util.find_spec("pandas") is None:
        pytest.skip("the queries ran, the example as a whole needs pandas; to make it run: pip install pandas")
    monkeypatch.chdir(tmp_path)
    Path("run.db").write_bytes(server.serialize())
    exec(example, {})


@pytest.mark.parametrize("name", [SERVER, TRACE, BUDGET])
def test_the_tables_add_up_to_the_result(name: str) -> None:
    found, of = database(result(name)), result(name)
    assert value(found, "SELECT count(*) FROM calls") == len(of.calls)
    assert value(found, "SELECT count(*) FROM sleeps") == sum(len(call.sleeps) for call in of.calls)
    assert value(found, "SELECT count(*) FROM call_sums") == len(of.sums)
    assert value(found, "SELECT total(total_ns) FROM phases") == sum(row.total for row in of.rows)
    phases = "wait_ns + sched_delay_ns + preempted_ns + coalesce(copy_ns, 0) + kernel_ns"
    for table in ("calls", "phases", "call_sums"):
        assert value(found, f"SELECT count(*) FROM {table} WHERE total_ns <> {phases}") == 0
    assert value(found, f"SELECT count(*) FROM threads WHERE wall_ns <> user_ns + {phases}") == 0
    if of.sums:
        assert value(found, "SELECT sum(count) FROM call_sums") == sum(row.count for row in of.rows) > len(of.calls)


def test_what_is_not_known_is_null_and_not_0() -> None:
    found = database(result(TRACE))
    assert value(found, "SELECT count(*) FROM findings WHERE cost_ns = 0 OR cost_calls = 0 OR cost_bytes = 0") == 0
    assert value(found, "SELECT count(*) FROM findings WHERE verdict = 'held' AND cost_ns IS NOT NULL") == 0
    assert value(found, "SELECT count(*) FROM calls WHERE open AND result IS NOT NULL") == 0
    unavailable = "SELECT name FROM phases WHERE copy_quality = 'unavailable'"
    assert value(found, f"SELECT count(*) FROM calls WHERE name IN ({unavailable}) AND copy_ns = 0") == 0
    assert value(found, f"SELECT count(*) FROM calls WHERE name IN ({unavailable})") != 0


def test_every_number_names_its_unit() -> None:
    counts = {
        "thread", "tid", "pid", "host_tid", "parent_thread", "waker_thread", "waker_tid", "call", "sleep", "fd", "socket",
        "arg0", "arg1", "arg2", "arg3", "result", "exit_status", "fatal_signal", "ended", "kernel_worker", "open", "refused",
        "count", "failed", "calls", "sleeps", "reads", "arrivals", "polled", "queued", "unqueued", "preemptions",
        "voluntary_switches", "involuntary_switches", "events_seen", "events_lost", "details_recorded", "details_of",
        "cost_calls", "local_port", "peer_port", "not_accepted",
    }  # fmt: skip
    for table in tables.tables(report(result(BUDGET))):
        for column in table.columns:
            if column.type == "INTEGER" and column.name not in counts:
                assert column.name.endswith(("_ns", "bytes")), f"{table.name}.{column.name}"


def test_a_hostile_name_stays_one_field(tmp_path: Path) -> None:
    of = result(SERVER)
    hostile = dataclasses.replace(of.threads[0], name='=cmd|"\n\x1b[2J;')
    tables_of = tables.tables(report(dataclasses.replace(of, threads=(hostile, *of.threads[1:]))))
    csv_files.write(tables_of, str(tmp_path))
    assert sorted(os.listdir(tmp_path)) == sorted(Path(path).name for path in csv_files.paths(""))
    rows = list(csv.DictReader((tmp_path / "threads.csv").read_text().splitlines()))
    assert rows[0]["name"] == "'=cmd|\"\\n\\x1b[2J;" and len(rows) == len(of.threads)
