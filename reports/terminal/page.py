"""The whole page of one run: heading, marked answers, picture, system calls, sleeps, threads, quality, statements."""

from __future__ import annotations

import collections
from typing import IO

from rich.table import Table
from rich.text import Text

from findings.zoom import Zoom
from probes.context import CasesRun, LabRun, TraceRun, TrafficRun
from probes.words import count, visible
from reports import words
from reports.terminal import (
    calls,
    cases,
    checks,
    overview,
    picture,
    prediction,
    quality,
    sleeps,
    stacks,
    threads,
    timeline,
    trace,
)
from reports.terminal.screen import Screen, note, printing, section
from runs import link
from runs.report import Report


def write(
    report: Report,
    file: IO[str],
    with_stacks: bool = False,
    width: int | None = None,
    brief: bool = False,
    zoom: Zoom | None = None,
) -> None:
    """The whole page into a terminal, a pipe or a file; `brief`: of a trace its first screen alone; `zoom`: its timeline."""
    with printing(file, width) as out:
        if zoom:
            _timeline(report, zoom, out)
        elif brief and isinstance(report.result.context, TraceRun):
            overview.show(report, out)
        else:
            show(report, out, with_stacks)


def _timeline(report: Report, zoom: Zoom, out: Screen) -> None:
    """The heading, the timeline, what is missing, and the verdict of a lab's checks."""
    result = report.result
    if isinstance(result.context, LabRun):
        _lab(report, result.context, out)
    else:
        overview.heading(report, out)
    timeline.show(report, report.timeline.window(zoom) if zoom.named else None, out)
    if report.whole.verdict == "inconclusive":
        quality.show(report.whole, out)
    if result.checks:
        verdicts = collections.Counter(words.VERDICTS[check.verdict].word for check in result.checks)
        note(out, f"checks: {', '.join(f'{number} {word}' for word, number in verdicts.items())}", "")


def show(report: Report, out: Screen, with_stacks: bool = False) -> None:
    """The whole page. `with_stacks` adds the kernel stack behind each kind of sleep and wake-up."""
    result = report.result
    if isinstance(result.context, TraceRun):
        trace.show(report, out)
    else:
        _lab_page(report, result.context, out)
    if with_stacks:
        stacks.show(result, out)
    if result.checks:
        checks.show(result.checks, out)
    _try_next(report, out)


def _lab_page(report: Report, context: LabRun, out: Screen) -> None:
    """A lab from its question to the quality of the measurement."""
    result = report.result
    _lab(report, context, out)
    if report.part:
        part = f"the tables show only {visible(report.part.words)}; picture and checks are those of the whole run"
        several = "a lab with several servers is shown whole; --json has the part"
        note(out, several if report.cases else part, "yellow")
    if report.prediction:
        section(out, "your answers, marked")
        prediction.show(report.prediction, out)
    if report.cases:
        cases.show(report, out)
    else:
        if report.picture:
            picture.show(report.picture, out)
        section(out, "system calls, in ms")
        calls.show(result, out, calls.ROWS)
        calls.notes(report, out)
        sleeps.show(result, out)
        threads.show(result, out)
    quality.show(result, out)


def _lab(report: Report, context: LabRun, out: Screen) -> None:
    out.print(Text.assemble((f"lab {context.lab}", "bold"), f": {context.question}"))
    traffic = f", {context.traffic_words}" if isinstance(context, TrafficRun) else ""
    served = count(len(report.cases), "server") if report.cases else _tasks(report, "server " if traffic else "")
    note(out, f"{served}{traffic}")
    for case in context.cases if isinstance(context, CasesRun) else ():
        if case.traffic_words and f", {case.traffic_words}" != traffic:
            note(out, f"{case.name}: {case.traffic_words}")
    if isinstance(context, TrafficRun) and context.link:
        note(out, link.words(context.link))
    out.print(Text(f"watch: {context.watch}"))


def _tasks(report: Report, whose: str) -> str:
    """How many threads or processes were followed."""
    threads = len(report.result.threads)
    processes = len({thread.pid for thread in report.result.threads})
    if processes < 2:
        return count(threads, f"{whose}thread")
    return count(processes, f"{whose}process") + (f" with {count(threads, 'thread')}" if threads > processes else "")


def _try_next(report: Report, out: Screen) -> None:
    """The commands to go on with; each reason on a line of its own where the screen is narrow."""
    context = report.result.context
    rows = [line.partition("  ") for line in context.try_next] if isinstance(context, LabRun) else []
    if not rows:
        return
    out.print()
    commands = [words.with_command_name(command) for command, _, _ in rows]
    reasons = [why.strip() for _, _, why in rows]
    title = "try next:"
    if len(title) + max(map(len, commands)) + max(map(len, reasons)) + 4 > out.width:
        out.print(Text(title))
        for command, why in zip(commands, reasons, strict=True):
            out.print(Text(f"  {command}"))
            note(out, f"    {why}")
        return
    grid = Table.grid(padding=(0, 2))
    for index, (command, why) in enumerate(zip(commands, reasons, strict=True)):
        grid.add_row("" if index else title, command, Text(why, style="dim"))
    out.print(grid)
