"""The page of one run: figure, phases, messages, threads, statements, quality. The templates have the words between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, Any

from markupsafe import Markup

from findings.zoom import Zoom
from probes.context import CasesRun, LabRun, ServerRun, TraceRun, TrafficRun
from probes.measure.result import CallRow, Result, Thread, Verdict
from probes.words import count
from reports import endings, not_followed, quality
from reports.figures import captions, model, sizes
from reports.html import bars, program, templates, timeline
from reports.terminal import calls, cases, stacks
from reports.terminal.picture import which
from reports.terminal.steps import steps
from reports.words import VERDICTS, claims_named, definitions, share
from runs import link
from runs.report import Drawn, Report

THREADS = 24  # are shown at once; the others can be opened
_MOST = 500  # threads of a page
_CALLS = 24  # rows of the table of system calls that are shown at once


def write(report: Report, file: IO[str], zoom: Zoom | None = None) -> None:
    """The whole page; `zoom`: the part of the run that its timeline shows first."""
    file.write(templates.render("run.html", content(report, zoom)))


def content(report: Report, zoom: Zoom | None = None) -> dict[str, Any]:
    """What the template inserts; the page of a mark adds to it."""
    result = report.result
    context = result.context
    shown = {verdict for check in result.checks for verdict in [check.verdict]} - {Verdict.CONFIRMED}
    ids = [claim for check in result.checks for claim in check.claims]
    return {
        "report": report,
        "result": result,
        "lab": context if isinstance(context, LabRun) else None,
        "trace": context if isinstance(context, TraceRun) else None,
        "served": context if isinstance(context, ServerRun) else None,
        "title": f"lab {context.lab}" if isinstance(context, LabRun) else f"trace {' '.join(context.command) or '?'}"[:120],
        "facts": _facts(report),
        "figures": [figure(drawn) for drawn in report.figures],
        "cases": _cases(report),
        "calls": _calls(report.service_rows),
        "program": program.content(report) if isinstance(context, TraceRun) else None,
        "life": program.LIFE,
        "most_calls": _CALLS,
        "notes": [*calls.sentences(report), *not_followed.sentences(report.not_followed), *_endings(report)],
        "sleeps": _sleeps(result),
        "threads": _threads(result),
        "quality": [(sentence.words, sentence.tone.value) for sentence in quality.sentences(result)],
        "start_rows": _calls(report.start_up_rows),
        "stacks": stacks.kinds(result)[: stacks.KINDS],
        "checks": [(check, VERDICTS[check.verdict].word) for check in result.checks],
        "definitions": definitions(shown),
        "claims_named": claims_named(ids[0]) if ids else "",
        "timeline": timeline.content(report, zoom),
    }


def _endings(report: Report) -> list[str]:
    """How the processes of a traced program ended; a lab ends its server itself."""
    return endings.sentences(report.endings) if isinstance(report.result.context, TraceRun) else []


def _facts(report: Report) -> list[str]:
    """What was run, in short."""
    context, threads = report.result.context, len(report.result.threads)
    found = [count(len(report.cases), "server") if report.cases else count(threads, "thread")]
    if isinstance(context, TrafficRun):
        found.append(context.traffic_words)
        if context.link:
            found.append(link.words(context.link))
    if isinstance(context, CasesRun):
        others = [case for case in context.cases if case.traffic_words not in ("", context.traffic_words)]
        found += [f"{case.name}: {case.traffic_words}" for case in others]
    if isinstance(context, TraceRun) and context.status is not None:
        found.append(f"ended with exit status {context.status}")
    details = report.whole.details
    if not details.complete:
        part = share(details.recorded, details.of)
        found.append(f"details: {part} of {details.of:,} calls; figures with ~, messages and findings are from this part")
    return found


def figure(drawn: Drawn) -> dict[str, Any]:
    """A figure in two sizes, of which the screen's width chooses, and its steps in words."""
    caption = captions.caption(drawn.figure, drawn.result, drawn.case)
    drawings = [
        (name, Markup(model.of_run(drawn, size).svg(alone=False)))
        for name, size in (("wide", sizes.COLUMN), ("narrow", sizes.PHONE))
    ]
    return {
        "case": drawn.case,
        "title": caption.title,
        "which": which(drawn.figure.scene),
        "drawings": drawings,
        "steps": steps(drawn.figure.scene),
        "probed": drawn.figure.scene.message.probed,
    }


def _cases(report: Report) -> dict[str, Any] | None:
    """The figures of several servers side by side, and the calls of each."""
    if not report.cases:
        return None
    return {
        "names": [(case.name, case.server.rpartition(":")[2]) for case in report.cases],
        "rows": cases.rows(report),
        "skipped": [(case.name, case.skipped) for case in report.cases if case.figures is None],
        "each": [
            (case.name, _calls(case.figures.result.rows), _sleeps(case.figures.result), _threads(case.figures.result))
            for case in report.cases
            if case.figures
        ],
    }


def _calls(rows: Sequence[CallRow]) -> list[tuple[CallRow, str, str, Markup]]:
    """Each row of the phase table with its copy, its errors and its bar."""
    longest = max((row.total for row in rows), default=1)
    return [(row, calls.copied(row), calls.errors(row), bars.of_call(row, longest)) for row in rows]


def _sleeps(result: Result) -> list[tuple[str, Any]]:
    """Every kind of sleep, the longest time first."""
    rows = [(row.name, slept) for row in result.rows for slept in row.slept_on]
    rows += [(thread.name, slept) for thread in result.threads for slept in thread.slept_on]
    return sorted(rows, key=lambda row: -row[1].ns)


def _threads(result: Result) -> dict[str, Any]:
    """The threads that lived longest: some at once, others to be opened."""
    ordered = sorted(result.threads, key=lambda thread: -thread.wall)
    shown: list[tuple[Thread, Markup]] = [(thread, bars.of_thread(thread)) for thread in ordered[:_MOST]]
    return {"first": shown[:THREADS], "more": shown[THREADS:], "of": len(ordered), "most": _MOST}
