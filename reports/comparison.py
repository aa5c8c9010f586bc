"""The comparison of all models: its tables, what they show in sentences, and the statements checked."""

from __future__ import annotations

import dataclasses
import json as codec
from collections.abc import Callable
from typing import IO

from rich.text import Text

from findings.rounds import Ranking, Spread, joined
from probes.context import LabRun
from probes.words import count, visible
from reports.terminal import checks, picture
from reports.terminal.screen import Column, Screen, figures, note, pairs, printing, section
from reports.words import duration
from runs import compare, link
from runs.compare import Comparison, Crowd
from runs.rows import Copying, Row, Waiting

SCHEMA_VERSION = 2
_WIDE = 110  # columns from which on one table holds all figures
_SEVERAL = 4  # names in a sentence, at most


def write(comparison: Comparison, file: IO[str], json: bool = False) -> None:
    """The tables, or the JSON document."""
    if json:
        codec.dump(document(comparison), file, indent=1)
        file.write("\n")
        return
    with printing(file) as out:
        _heading(comparison, out)
        if comparison.chosen:
            _pictures(comparison, out)
        _phases(comparison, out)
        _figures(comparison, out)
        _crowds(comparison, out)
        if comparison.chosen:
            return
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
            dataclasses.asdict(row) | {"phase_1": waiting(row.phase_1), "phase_2": copying(row.phase_2)}
            for row in comparison.rows
        ],
        "crowds": [_crowd_document(crowd) for crowd in comparison.crowds],
        "checks": [
            {"name": check.name, "claims": list(check.claims), "verdict": check.verdict, "evidence": check.evidence}
            for check in comparison.checks
        ],
    }


def _crowd_document(crowd: Crowd) -> dict[str, object]:
    return {
        "connections": crowd.connections,
        "rounds": compare.UNTRACED_ROUNDS,
        "traffic": dataclasses.asdict(compare.crowd_traffic(crowd.connections)),
        **{
            name: {"lowest": ranking.lowest, **{model: dataclasses.asdict(figure) for model, figure in ranking.order}}
            for name, ranking in (("round_trip_ns", crowd.round_trip_ns), ("cpu_per_message_ns", crowd.cpu_per_message_ns))
        },
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
    rounds = count(max((row.rounds for row in comparison.rows), default=0), "round")
    models = joined([row.model for row in comparison.rows]) if comparison.chosen else "every model"
    out.print(Text.assemble(("compare", "bold"), f": {models} on the same traffic, {comparison.traffic.words}; {rounds}"))
    if comparison.link:
        note(out, link.words(comparison.link))
    out.print()


def _pictures(comparison: Comparison, out: Screen) -> None:
    """A typical message of each model, from its first round, one below the other."""
    for drawn in comparison.drawn:
        context = drawn.result.context
        section(out, context.model if isinstance(context, LabRun) else "")
        for line in picture.draw(drawn.figure.scene, out.width, out.plain):
            out.print(line, no_wrap=True, overflow="crop")
    out.print(picture.legend(out.width, out.plain))
    out.print()


def _phases(comparison: Comparison, out: Screen) -> None:
    columns = [Column("phase 1: waits for data in", left=True), Column("phase 2: copied by", left=True)]
    figures(out, "model", columns, ([row.model, waiting(row.phase_1), copying(row.phase_2)] for row in comparison.rows))
    out.print()


Cells = list[tuple[Column, Callable[[Row], str]]]
_COUNTS: Cells = [
    (Column("calls"), lambda row: f"{row.calls_per_message:,}"),
    (Column("switches"), lambda row: f"{row.switches_per_message:,}"),
    (Column("threads"), lambda row: f"{row.threads:,}"),
    (Column("MB"), lambda row: f"{row.memory_bytes / 1e6:.1f}"),
]
_TIMES: Cells = [
    (Column("CPU"), lambda row: with_rounds(row.cpu_per_message_ns)),
    (Column("ready to\nnotified"), lambda row: with_rounds(row.ready_to_notified_ns)),
    (Column("notified\nto copied"), lambda row: with_rounds(row.notified_to_copied_ns)),
]
_SEGMENTS: Cells = [
    (Column("segments"), lambda row: f"{row.segments:,}"),
    (Column("ready to\nall ready"), lambda row: _time(row.ready_to_all_ready_ns)),
]
_CAPTION = """\
Per message: the system calls, the voluntary context switches and the CPU time. "threads" and "MB" (memory) are those of all \
processes of the server; memory that several processes share is counted in parts (PSS). "ready to notified" is the time from \
the first byte in the socket until the thread, on a CPU, can know of the data. The definition is the same for all models, and \
the probe's own work is subtracted. "notified to copied" is the time from that moment until the last byte is copied. Each time \
is the median of the rounds, followed by the lowest..highest round."""
_SEGMENTED = """\
A message arrived in several segments. "ready" is its first byte, and "all ready" its last: "notified to copied" contains the \
time until the client had sent the last byte, which the model does not decide."""


def _figures(comparison: Comparison, out: Screen) -> None:
    segmented = any(row.segments > 1 for row in comparison.rows)
    counts = _COUNTS + (_SEGMENTS if segmented else [])
    for cells in [counts + _TIMES] if out.width >= _WIDE else [counts, _TIMES]:
        rows = [[_name(row), *(cell(row) for _, cell in cells)] for row in comparison.rows]
        figures(out, "model", [column for column, _ in cells], rows)
        out.print()
    note(out, _CAPTION)
    if segmented:
        note(out, _SEGMENTED, "yellow")
    out.print()


def _name(row: Row) -> str:
    return row.model + ("" if row.sound else " (!)")


def _time(ns: int | None) -> str:
    return "-" if ns is None else duration(ns)


def with_rounds(found: Spread | None) -> str:
    """The median, then the lowest and the highest round in the same unit: "16.6 us 15.1..18.9"."""
    if found is None:
        return "-"
    unit = next((size for size in (10**9, 10**6, 10**3) if found.median >= size), 1)
    return f"{duration(found.median)} {_digits(found.low / unit)}..{_digits(found.high / unit)}"


def _digits(value: float) -> str:
    """Three significant digits, as `duration` has them."""
    return f"{value:,.0f}" if value >= 100 or value == 0 else f"{value:.{1 if value >= 10 else 2}f}"


def _crowds(comparison: Comparison, out: Screen) -> None:
    crowds = comparison.crowds
    if not crowds:
        return
    columns = [Column(count(crowd.connections, "connection")) for crowd in crowds]
    _rankings("round trip", columns, [crowd.round_trip_ns for crowd in crowds], out)
    _rankings("CPU", columns, [crowd.cpu_per_message_ns for crowd in crowds], out)
    note(out, _crowds_caption())
    out.print()


def _rankings(title: str, columns: list[Column], rankings: list[Ranking], out: Screen) -> None:
    names = rankings[0].figures
    figures(out, title, columns, [[name, *(with_rounds(ranking.figures[name]) for ranking in rankings)] for name in names])
    out.print()


def _crowds_caption() -> str:
    pause = compare.crowd_traffic(1).gap_ms
    return (
        f"Untraced; {count(compare.UNTRACED_ROUNDS, 'round')}, with the lowest..highest. The load is the same at each number of"
        f" connections: one message every {pause:g} ms, in turn on each connection. The round trips leave out each connection's"
        " first message. The CPU time is the server's, per message, while no connection is set up or closed."
    )


def sentences(comparison: Comparison) -> list[str]:
    """Sentences about the figures of this run."""
    seen = comparison.highlights
    awake = " It never sleeps." if seen.busiest.phase_1 and seen.busiest.phase_1.polls else ""
    found = [f"{seen.busiest.model} takes {seen.times_the_median_cpu:,.0f} times the CPU time of the median model.{awake}"]
    workers = f" A worker thread or process makes the copy in {', '.join(seen.free)}." if seen.free else ""
    found.append(f"The server's first thread makes the copy in {seen.held} of {count(len(comparison.rows), 'model')}.{workers}")
    if seen.latest:
        found.append(_latest(comparison.ready_to_notified, seen.latest))
    return found + [_of_crowd(crowd) for crowd in comparison.crowds]


def _latest(ranking: Ranking, latest: list[str]) -> str:
    """In which model data is unread longest, as far as the rounds show."""
    name, figure = latest[0], ranking.figures[latest[0]]
    if len(latest) == 1:
        return f"Data is unread longest in {name}: {duration(figure.median)} (median) until the thread is notified."
    others = joined(latest[1:]) if len(latest) <= _SEVERAL else count(len(latest) - 1, "other model")
    return (
        f"These rounds do not show in which model data is unread longest: the rounds of {name}, {duration(figure.low)} to"
        f" {duration(figure.high)}, overlap with the rounds of {others}."
    )


def _of_crowd(crowd: Crowd) -> str:
    at = f"At {count(crowd.connections, 'connection')}"
    return f"{at}, by round trip: {crowd.round_trip_ns.words}. By CPU time: {crowd.cpu_per_message_ns.words}."
