"""A Result as one JSON document, schema_version 2: keys may be added, never renamed. Durations are integers in ns."""

from __future__ import annotations

import json
from typing import IO, Any

from labs.kit.lab import Run
from probes.measure.phases import percentile_of
from probes.measure.result import CallRow, Result, Thread
from reports import prediction

SCHEMA_VERSION = 2


def document(result: Result) -> dict[str, Any]:
    """The result as plain JSON data."""
    context: Any = result.context
    return {
        "schema_version": SCHEMA_VERSION,
        "iolab": context.get("iolab"),
        "lab": context.get("lab"),
        "model": context.get("model"),
        "command": context.get("command"),
        "status": context.get("status"),
        "verdict": result.verdict,
        "machine": result.machine,
        "traffic": context.get("traffic"),
        "link": context.get("link"),
        "probes": [
            {"name": p.name, "attached": p.attached, "quality": p.quality, "hits": p.hits, "reason": p.reason}
            for p in result.probes
        ],
        "events": {
            "seen": result.events.seen,
            "lost": result.events.lost,
            "unmatched": result.events.unmatched,
            "reasons": result.events.reasons,
        },
        **_measured(result),
        "epoll_callbacks": _listed(result),
        "classification": None,
        "overhead": context.get("overhead"),
        "witness": context.get("witness"),
        "cases": [_case(result, one) for one in context["cases"]] if "cases" in context else None,
        "prediction": prediction.as_data(result),
        "checks": [
            {"name": c.name, "claims": list(c.claims), "verdict": c.verdict, "evidence": c.evidence} for c in result.checks
        ],
    }


def _measured(result: Result) -> dict[str, Any]:
    """What the probes saw of these calls, messages and threads."""
    told = sorted(one.ready_to_notified for one in result.messages)
    copied = sorted(one.notified_to_copied for one in result.messages)
    return {
        "calls": [_row(one) for one in result.rows],
        "messages": {
            "count": len(result.messages),
            "ready_to_notified_ns": {"p50": percentile_of(told, 0.5), "p99": percentile_of(told, 0.99)},
            "notified_to_copied_ns": {"p50": percentile_of(copied, 0.5), "p99": percentile_of(copied, 0.99)},
            "bytes": sum(one.bytes for one in result.messages),
        },
        "threads": [_thread(one) for one in result.threads],
    }


def _case(result: Result, told: dict[str, Any]) -> dict[str, Any]:
    """One of several servers: what the probes saw of it, and how long its clients waited for an echo."""
    about = {key: told.get(key) for key in ("name", "server", "skipped", "overhead", "witness")}
    if "skipped" in told:
        return about
    run = Run(result).cases[told["name"]]
    trips = {f"p{round(100 * part)}": percentile_of(run.round_trips, part) for part in (0.5, 0.99, 1)}
    return about | _measured(run.result) | {"round_trip_ns": trips}


def _listed(result: Result) -> dict[str, Any] | None:
    """Epoll's callbacks, and how long after the data was ready in its socket they put it on the ready list; null: not known."""
    if result.listed is None:
        return None
    after = sorted(one.at - one.ready for one in result.listed if one.ready is not None)
    return {
        "count": len(result.listed),
        "ready_to_listed_ns": {"p50": percentile_of(after, 0.5), "p99": percentile_of(after, 0.99)},
    }


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
        "slept_on": [
            {
                "queue": one.queue,
                "count": one.count,
                "ns": one.ns,
                "queues": one.queues,
                "woken_by": [chain for chain, _ in one.woken_by],
                "woken_by_count": [number for _, number in one.woken_by],
            }
            for one in row.slept_on
        ],
    }


def _thread(thread: Thread) -> dict[str, Any]:
    return {
        "tid": thread.tid,
        "pid": thread.pid,
        "name": thread.name,
        "wall_ns": thread.wall,
        "user_ns": thread.user,
        "wait_ns": thread.wait,
        "sched_delay_ns": thread.sched_delay,
        "preempted_ns": thread.preempted,
        "copy_ns": thread.copy,
        "kernel_ns": thread.kernel,
        "calls": thread.calls,
        "voluntary_switches": thread.voluntary_switches,
        "involuntary_switches": thread.involuntary_switches,
        "ended": thread.ended,
        "kernel_worker": thread.kernel_worker,
        "slept_on": [{"queue": one.queue, "count": one.count, "ns": one.ns} for one in thread.slept_on],
    }


def write(result: Result, file: IO[str], stacks: bool = False) -> None:
    """The document and a newline; the stacks' names are in it as queues and wakers, not frame by frame."""
    del stacks
    json.dump(document(result), file, indent=1)
    file.write("\n")
