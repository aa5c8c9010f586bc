"""Where a run waits, as flame graphs: folded stacks (flamegraph.pl, inferno) and speedscope.

Each stack is: the role of the threads, the call, the wait queue, and what ended the sleep. Its weight is the time asleep in ns.
The time from the wake-up until the thread had a CPU stands beside the queues, as a frame of its own.
"""

from __future__ import annotations

import collections
import json
from typing import IO

from probes.context import LabRun, TraceRun
from probes.words import visible
from reports import wakers
from runs.report import Report

Stack = tuple[str, ...]
_SCHEMA = "https://www.speedscope.app/file-format-schema.json"
_NO_ACCOUNT = "threads without an account"
_OUTSIDE = "outside of system calls"
_RUN_QUEUE = "run queue: woken, without a CPU"


def stacks(report: Report) -> dict[Stack, int]:
    """The time (ns) of each stack, root first; the longest stack first."""
    found: collections.Counter[Stack] = collections.Counter()
    for row in report.off_cpu:
        base = (report.labels.group(row.group) if row.group else _NO_ACCOUNT, row.call or _OUTSIDE)
        ended = wakers.words(row.cause, report.labels.waker)
        found[(*base, f"asleep: {row.queue}", f"woken by {ended}")] += row.ns
        found[(*base, _RUN_QUEUE)] += row.delay or 0
    return {stack: ns for stack, ns in found.most_common() if ns}


def write_folded(report: Report, file: IO[str]) -> None:
    """One line a stack: frames joined by semicolons, a space, ns."""
    for stack, ns in stacks(report).items():
        file.write(f"{';'.join(map(_folded, stack))} {ns}\n")


def _folded(frame: str) -> str:
    """A frame in which no semicolon ends it, and no control character ends the line."""
    return visible(frame).replace(";", "\\x3b")


def write_speedscope(report: Report, file: IO[str]) -> None:
    """The stacks as one sampled profile, each a sample with its time as the weight."""
    found = stacks(report)
    places = {frame: index for index, frame in enumerate(dict.fromkeys(frame for stack in found for frame in stack))}
    name = f"off-CPU time of {_title(report)}"
    profile = {
        "type": "sampled",
        "name": name,
        "unit": "nanoseconds",
        "startValue": 0,
        "endValue": sum(found.values()),
        "samples": [[places[frame] for frame in stack] for stack in found],
        "weights": list(found.values()),
    }
    document = {
        "$schema": _SCHEMA,
        "exporter": "iolab",
        "name": name,
        "activeProfileIndex": 0,
        "shared": {"frames": [{"name": visible(frame)} for frame in places]},
        "profiles": [profile],
    }
    json.dump(document, file)
    file.write("\n")


def _title(report: Report) -> str:
    context = report.result.context
    if isinstance(context, LabRun):
        return f"lab {context.lab}"
    return visible(" ".join(context.command)) if isinstance(context, TraceRun) else "a run"
