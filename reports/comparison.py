"""The comparison of all models: three tables, what they show in sentences, and the statements checked."""

from __future__ import annotations

import dataclasses
import json as codec
from typing import IO

from rich.text import Text

from probes.words import count, visible
from reports.terminal import checks
from reports.terminal.screen import Column, Screen, figures, note, pairs, printing
from reports.words import duration
from runs import link
from runs.compare import Comparison, Copying, Crowd, Row, Waiting

SCHEMA_VERSION = 1
_CAPTION = """\
The calls, the CPU time and the voluntary context switches are per message. The times are medians: from the data ready in the \
socket to the thread notified, and from there to the data copied. MB is the memory of all processes of the server; memory that \
several processes share is counted in parts (PSS)."""


def write(comparison: Comparison, file: IO[str], json: bool = False) -> None:
    """The tables, or the JSON document."""
    if json:
        codec.dump(document(comparison), file, indent=1)
        file.write("\n")
        return
    with printing(file) as out:
        _heading(comparison, out)
        _phases(comparison, out)
        _figures(comparison, out)
        _crowds(comparison, out)
        pairs(out, [("-", sentence) for sentence in sentences(comparison)], 1)
        checks.show(comparison.checks, out)


def document(comparison: Comparison) -> dict[str, object]:
    """The comparison as plain JSON data."""
    return {
        "schema_version": SCHEMA_VERSION,
        "verdict": comparison.verdict,
        "traffic": dataclasses.asdict(comparison.traffic),
        "link": dataclasses.asdict(comparison.link) if comparison.link else None,
        "missing": comparison.missing,
        "models": [
            dataclasses.asdict(one) | {"phase_1": waiting(one.phase_1), "phase_2": copying(one.phase_2)}
            for one in comparison.rows
        ],
        "crowds": [dataclasses.asdict(one) | {"winner": one.winner} for one in comparison.crowds],
        "checks": [
            {"name": one.name, "claims": list(one.claims), "verdict": one.verdict, "evidence": one.evidence}
            for one in comparison.checks
        ],
    }


def waiting(found: Waiting | None) -> str:
    """Phase 1 in words."""
    if found is None:
        return "?"
    if found.polls:
        return f"awake: {found.polls:,} EAGAIN per message"
    return f"{found.call} on {found.queue}{_worker(found.worker)}"


def copying(found: Copying | None) -> str:
    """Phase 2 in words."""
    return "?" if found is None else f"{found.call}{_worker(found.worker)}"


def _worker(worker: bool) -> str:
    return ", a worker" if worker else ""


def _heading(comparison: Comparison, out: Screen) -> None:
    for model, reason in comparison.missing.items():
        note(out, f"{model} could not be run here: {visible(reason)}", "yellow")
    out.print(Text.assemble(("compare", "bold"), f": every model on the same traffic, {comparison.traffic.words}"))
    if comparison.link:
        note(out, link.words(comparison.link))
    out.print()


def _phases(comparison: Comparison, out: Screen) -> None:
    columns = [Column("phase 1: waits for data in", left=True), Column("phase 2: copied by", left=True)]
    figures(out, "model", columns, ([row.model, waiting(row.phase_1), copying(row.phase_2)] for row in comparison.rows))
    out.print()


_FIGURES = [
    Column(title)
    for title in ("calls", "ready to\nnotified", "notified\nto copied", "CPU", "switches", "threads", "MB")
]  # fmt: skip


def _figures(comparison: Comparison, out: Screen) -> None:
    figures(out, "model", _FIGURES, map(_cells, comparison.rows))
    out.print()
    note(out, _CAPTION)
    out.print()


def _cells(row: Row) -> list[str]:
    return [
        row.model + ("" if row.sound else " (!)"),
        f"{row.calls_per_message:,}",
        _time(row.ready_to_notified_ns),
        _time(row.notified_to_copied_ns),
        duration(row.cpu_per_message_ns),
        f"{row.switches_per_message:,}",
        f"{row.threads:,}",
        f"{row.memory_bytes / 1e6:.1f}",
    ]


def _time(ns: int | None) -> str:
    return "-" if ns is None else duration(ns)


def _crowds(comparison: Comparison, out: Screen) -> None:
    crowds = comparison.crowds
    columns = [Column(count(one.connections, "connection")) for one in crowds]
    rows = [
        [name, *(duration(one.round_trip_ns[name]) for one in crowds)] for name in (crowds[0].round_trip_ns if crowds else ())
    ]
    figures(out, "median round trip, untraced", columns, rows)
    out.print()


def sentences(comparison: Comparison) -> list[str]:
    """What the figures of this run show, a sentence each."""
    seen = comparison.highlights
    awake = " It never sleeps." if seen.busiest.phase_1 and seen.busiest.phase_1.polls else ""
    found = [f"{seen.busiest.model} takes {seen.times_the_median_cpu:,.0f} times the CPU time of the median model.{awake}"]
    workers = f" A worker thread or process makes the copy in {', '.join(seen.free)}." if seen.free else ""
    found.append(f"The server's first thread makes the copy in {seen.held} of {count(len(comparison.rows), 'model')}.{workers}")
    if seen.latest:
        found.append(
            f"Data is unread longest in {seen.latest.model}: {_time(seen.latest.ready_to_notified_ns)} (median) until the"
            " thread is notified."
        )
    return found + [_fastest(crowd) for crowd in comparison.crowds]


def _fastest(crowd: Crowd) -> str:
    words = ", ".join(f"{name} {duration(ns)}" for name, ns in crowd.order)
    first = crowd.fastest
    verb = f"{first[0]} is the fastest" if len(first) == 1 else f"{' and '.join(first)} are equally fast"
    return f"At {count(crowd.connections, 'connection')} {verb}: {words}."
