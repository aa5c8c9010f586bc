"""A Report as one JSON document, schema_version 2: keys may be added, never renamed. Durations are integers in ns."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import IO, Any

from findings.never_began import never_began
from findings.not_followed import NotFollowed
from findings.side_by_side import CaseReport
from findings.sleeps.longest import Longest, longest
from findings.sleeps.where import Where
from findings.summary import MessageFigures, Times
from probes.context import CasesRun, LabRun, LinkUsed, Overhead, Sent, ServerRun, TraceRun, TrafficRun, Witness
from probes.measure.result import CallRow, Result, SleptOn
from probes.recording import Machine
from reports import program, questions, sockets, threads
from runs.report import Report

SCHEMA_VERSION = 2


def document(report: Report) -> dict[str, Any]:
    """The report as plain JSON data."""
    result = report.result
    context = result.context
    return {
        "schema_version": SCHEMA_VERSION,
        "iolab": context.iolab or None,
        "lab": context.lab if isinstance(context, LabRun) else None,
        "model": context.model if isinstance(context, LabRun) else None,
        "command": list(context.command) if isinstance(context, TraceRun) else None,
        "status": context.status if isinstance(context, TraceRun) else None,
        "verdict": result.verdict,
        "machine": _plain(result.machine),
        "traffic": _plain(context.traffic if isinstance(context, TrafficRun) else None),
        "link": _plain(context.link if isinstance(context, TrafficRun) else None),
        **_instrument(result),
        "only": threads.part(report.part),
        **_measured(result, report.messages, report.where, report.not_followed),
        "sockets": sockets.data(report),
        "outcomes": [dataclasses.asdict(row) for row in report.outcomes],
        "never_began": [dataclasses.asdict(row) for row in never_began(result)],
        "processes": threads.processes(report),
        "start_up": _start_up(report),
        "epoll_callbacks": _ready_list(report),
        **_program(report),
        "overhead": _plain(context.overhead if isinstance(context, ServerRun) else None),
        "witness": _plain(context.witness if isinstance(context, ServerRun) else None),
        "cases": [_case(case) for case in report.cases] if isinstance(context, CasesRun) else None,
        "prediction": questions.marks(report.prediction),
        "checks": [
            {"name": c.name, "claims": list(c.claims), "verdict": c.verdict, "evidence": c.evidence} for c in result.checks
        ],
    }


def _plain(described: Machine | Sent | LinkUsed | Overhead | Witness | None) -> dict[str, Any] | None:
    """The recording's data about its run and its machine, by the names of the fields."""
    return dataclasses.asdict(described) if described else None


def _instrument(result: Result) -> dict[str, Any]:
    """The attached probes, and the counters of the kernel side."""
    return {
        "probes": [
            {"name": p.name, "attached": p.attached, "quality": p.quality, "hits": p.hits, "reason": p.reason}
            for p in result.probes
        ],
        "events": {
            "seen": result.events.seen,
            "lost": result.events.lost,
            "lost_share": result.events.lost / max(result.events.seen + result.events.lost, 1),
            "unmatched": result.events.unmatched,
            "reasons": result.events.reasons,
        },
        "details": {
            "recorded": result.details.recorded,
            "of": result.details.of,
            "complete": result.details.complete,
            "windows_ns": [list(window) for window in result.details.windows],
            "left_out": result.details.left_out,
        },
    }


def _measured(
    result: Result, messages: MessageFigures, where: Where, not_followed: tuple[NotFollowed, ...] = ()
) -> dict[str, Any]:
    """The calls, messages and threads as JSON data. A number of messages that is not known is null, not 0."""
    unknown = bool(not_followed) and not messages.count
    return {
        "calls": _rows(result.rows, longest(result.calls, result.sums, result.sleep_sums)),
        "messages": {
            "count": None if unknown else messages.count,
            "ready_to_notified_ns": _times(messages.ready_to_notified),
            "notified_to_copied_ns": _times(messages.notified_to_copied),
            "bytes": None if unknown else messages.bytes,
            "not_followed": [dataclasses.asdict(row) for row in not_followed],
        },
        "threads": threads.threads(where),
    }


def _times(times: Times) -> dict[str, int | None]:
    return {"p50": times.p50, "p99": times.p99, "longest": times.longest}


def _case(case: CaseReport) -> dict[str, Any]:
    """One of several servers: what the probes saw of it, and how long its clients waited for an echo."""
    about: dict[str, Any] = {"name": case.name, "server": case.server, "skipped": case.skipped or None}
    about |= {"overhead": _plain(case.overhead), "witness": _plain(case.witness)}
    if case.figures is None:
        return about
    result, trips = case.figures.result, case.figures.round_trip
    trip = {"p50": trips.p50, "p99": trips.p99, "p100": trips.longest}
    return about | _measured(result, case.figures.messages, Where(result)) | {"round_trip_ns": trip}


def _ready_list(report: Report) -> dict[str, Any] | None:
    """Epoll's callbacks, and how long after the data was ready in its socket they put it on the ready list; null: not known."""
    if report.ready_list is None:
        return None
    return {"count": report.ready_list.count, "ready_to_listed_ns": _times(report.ready_list.after_ready)}


def _program(report: Report) -> dict[str, Any]:
    """What the program is, and what is wrong with it; null for a lab with several servers, and `slowest` if not asked for."""
    if report.cases:
        return dict.fromkeys(("classification", "roles", "findings", "slowest"))
    return {
        "classification": program.classification(report.identity.classification),
        "roles": program.roles(report.identity.roles),
        "findings": program.findings(report.diagnosis),
        "slowest": program.slowest(report.slowest) if report.slowest else None,
    }


def _start_up(report: Report) -> dict[str, Any] | None:
    """What the program did before it served; null for a program that does not serve. `calls` has these calls, too."""
    start = report.start
    if start is None:
        return None
    return {
        "ns": start.ns,
        "processes": start.processes,
        "errors": dict(start.errors),
        "calls": _rows(report.start_up_rows, longest(start.calls)),
    }


def _rows(rows: Iterable[CallRow], longest_of: Mapping[str, Longest]) -> list[dict[str, Any]]:
    none = Longest(0, 0)
    return [
        _row(row) | {"longest_ns": most.call, "longest_sleep_ns": most.sleep}
        for row in rows
        for most in (longest_of.get(row.name, none),)
    ]


def _row(row: CallRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "count": row.count,
        "errors": row.errors,
        "bytes": row.bytes,
        "total_ns": row.total,
        "wait_ns": row.wait,
        "sched_delay_ns": row.sched_delay,
        "preempted_ns": row.preempted,
        "copy_ns": row.copy,
        "kernel_ns": row.kernel,
        "p50_ns": row.p50,
        "p99_ns": row.p99,
        "percentile_quality": row.p_quality,
        "copy_quality": row.copy_quality,
        "copy_reason": row.copy_reason,
        "polled": row.polled,
        "queued": row.queued,
        "unqueued": row.unqueued,
        "copy_in_max_ns": row.copy_in_max,
        "copy_out_max_ns": row.copy_out_max,
        "slept_on": [_slept(slept) for slept in row.slept_on],
    }


def _slept(slept: SleptOn) -> dict[str, Any]:
    return {
        "queue": slept.queue,
        "count": slept.count,
        "ns": slept.ns,
        "queues": slept.queues,
        "woken_by": [chain for chain, _ in slept.woken_by],
        "woken_by_count": [number for _, number in slept.woken_by],
    }


def write(report: Report, file: IO[str]) -> None:
    """The document and a newline; the stacks' names are in it as queues and wakers, not frame by frame."""
    json.dump(document(report), file, indent=1)
    file.write("\n")
