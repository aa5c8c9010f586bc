"""The table of system calls: how often each was called, and where its time went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from findings.sleeps.longest import Longest
from probes.context import LabRun
from probes.measure.result import CallRow, Result
from probes.recording import Quality
from probes.words import count, times, visible
from reports import outcomes
from reports.terminal.screen import Column, Screen, figures, note
from reports.terminal.states import PHASES, STATES
from reports.words import duration, milliseconds, size
from runs.report import Report

ROWS = 14
_WIDE = 110  # columns from which on the table has percentiles, bytes and errors, too
_FIGURES = [Column("count"), Column("total"), *(Column(label, STATES[label].style) for label, _ in PHASES)]
_DURATIONS = [
    *(Column(title) for title in ("p50", "p99", "longest", "longest\nsleep", "bytes")),
    Column("errors", left=True, wraps=True),
]
_MORE_FIGURES = [Column("p50"), Column("p99"), Column("bytes"), Column("errors", left=True)]


def show(result: Result, out: Screen, most: int) -> None:
    """The `most` calls with the longest total time, and the errors."""
    wide = out.width >= _WIDE
    phases(result.rows, out, most, wide)
    without_errors = result.rows[most:] if wide else result.rows  # the rows whose errors the table does not show
    if failures := [f"{visible(row.name)} {errors(row)}" for row in without_errors if row.errors]:
        note(out, "errors: " + "; ".join(failures))


def phases(rows: Sequence[CallRow], out: Screen, most: int, wide: bool = False) -> None:
    """Where the time of the calls went; `wide`: with their durations, bytes and errors in the same table."""
    columns = _FIGURES + (_MORE_FIGURES if wide else [])
    figures(out, "call", columns, (_cells(row, wide) for row in rows[:most]))
    if rest := rows[most:]:
        calls = count(len(rest), "other system call")
        note(out, f"{calls} took {duration(sum(call.total for call in rest))} in total (--json lists them)")


def _cells(row: CallRow, wide: bool) -> list[str]:
    cells = [visible(row.name), f"{row.count:,}", milliseconds(row.total)]
    cells += [copied(row) if phase == "copy" else milliseconds(getattr(row, phase)) for _, phase in PHASES]
    if wide:
        bound = "~" if row.p_quality is Quality.BOUNDED else ""
        cells += [bound + duration(row.p50), bound + duration(row.p99), f"{row.bytes:,}" if row.bytes else "-"]
        cells.append(errors(row) or "-")
    return cells


def copied(row: CallRow) -> str:
    """The copying time in ms, with the sign that says how good the figure is."""
    if row.copy_quality is Quality.UNAVAILABLE:
        return f"{milliseconds(row.copy)}+" if row.copy else "n/a"
    return ("<" if row.copy_quality is Quality.BOUNDED and row.copy else "") + milliseconds(row.copy)


def durations(rows: Sequence[CallRow], longest: Mapping[str, Longest], out: Screen, most: int) -> None:
    """How long a call takes: percentiles, the longest call, the longest sleep in a call; and its bytes and errors."""
    figures(out, "call", _DURATIONS, (_duration_cells(row, longest.get(row.name)) for row in rows[:most]))
    if any(row.p_quality is Quality.BOUNDED for row in rows[:most]):
        note(out, "~ marks an upper bound: many equal calls were recorded as a histogram")


def _duration_cells(row: CallRow, longest: Longest | None) -> list[str]:
    bound = "~" if row.p_quality is Quality.BOUNDED else ""
    cells = [visible(row.name), bound + duration(row.p50), bound + duration(row.p99)]
    cells += [duration(longest.call) if longest else "-", duration(longest.sleep) if longest and longest.sleep else "-"]
    cells += [size(row.bytes) if row.bytes else "-"]
    return [*cells, errors(row) or "-"]


def errors(row: CallRow) -> str:
    """The errors by name, with their number."""
    return ", ".join(f"{name} {number:,}" for name, number in row.errors.items())


def notes(report: Report, out: Screen) -> None:
    """What the signs in the table mean, and what it has no column for."""
    for words in sentences(report):
        note(out, words)


def sentences(report: Report) -> Iterator[str]:
    """The notes as sentences."""
    rows = report.result.rows
    yield from outcomes.sentences(report.outcomes, {row.name: row.count for row in rows})[:ROWS]
    if any(name.startswith("ERESTART") for row in rows for name in row.errors):
        yield "ERESTART...: a signal ended the call; no program sees this number"
    if any(row.copy_quality is Quality.BOUNDED and row.copy for row in rows):
        yield "< marks an upper bound: the probes around the copy measure a little more than the copy"
    if any(row.copy_quality is Quality.UNAVAILABLE and row.copy for row in rows):
        yield "+ marks a copy that is measured in part; the rest is counted as kernel"
    if any(row.copy_quality is Quality.UNAVAILABLE and not row.copy for row in rows):
        yield "n/a: the copy is not measured; counted as kernel"
    if isinstance(report.result.context, LabRun) and "sections" in report.result.context.aside:
        yield "lseek EBADF: with these calls the experiment marks where a section begins"
    yield from _in_functions(report)


def _in_functions(report: Report) -> list[str]:
    """What probes in the kernel's functions add: poll methods, wait queues, and epoll's callback."""
    notes = []
    for row in report.result.rows[:ROWS]:
        parts = [f"checked {count(row.polled, 'descriptor')}"] if row.polled else []
        if row.queued or row.unqueued:
            parts.append(f"added {row.queued or 0:,} and removed {row.unqueued or 0:,} wait queue entries")
        if parts:
            notes.append(f"{row.name} ({count(row.count, 'call')}) {', '.join(parts)}")
        if row.copy_out_max is not None:
            inward = "" if row.copy_in_max is None else f"its arguments in within {duration(row.copy_in_max)} and "
            notes.append(f"{row.name} copied {inward}its results out within {duration(row.copy_out_max)} (medians)")
    if report.ready_list and report.ready_list.count:
        after = report.ready_list.after_ready.p50
        median = f", {duration(after)} after the data was ready (median)" if after is not None else ""
        notes.append(f"epoll's callback put a descriptor on the ready list {times(report.ready_list.count)}{median}")
    return notes
