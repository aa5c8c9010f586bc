"""What check and grade share: one submission, run and judged."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import IO, TYPE_CHECKING

from commands import outputs, process

if TYPE_CHECKING:
    from probes.measure.result import Result
    from runs.grading.mark import Mark
    from runs.grading.rubric import Rubric

MODELS = (
    "asyncio, blocking, epoll, epoll_edge, io_uring, native_aio, nonblocking, poll, posix_aio, process_pool, processes,"
    " select, selectors, signal_driven, thread_pool, threads"
)
HELP = {
    "protocol": "what the server speaks: echo, upper, line, http, or a file NAME.py with the protocol of the course",
    "seed": "the seed of the traffic (default: a new seed for each run)",
}
ELSEWHERE = dict.fromkeys(("timeline", "from", "to"), "--html FILE writes a page with the timeline of the whole run") | {
    name: f"invoke trace --{name} {'FOLDER' if name == 'csv' else 'FILE'} -- CMD ARGS writes a run of your server and a client"
    for name in ("save", "csv", "sqlite", "perfetto", "speedscope", "folded")
}
FORMATS_HELP = {
    "gradescope": "write Gradescope's results.json to this file",
    "junit": "write the criteria as JUnit XML to this file",
    "csv": "write the criteria as CSV to this file",
    "annotations": "print each fault as an annotation of GitHub Actions",
}
_SEED_BYTES = 4


@dataclass(frozen=True)
class Formats:
    """Where the mark goes besides the report; "" for a format that the user did not name."""

    gradescope: str = ""
    junit: str = ""
    csv: str = ""
    annotations: bool = False

    def write(self, mark: Mark) -> None:
        """Writes each file, and the annotations to stdout."""
        from probes import files
        from reports.grade import annotations, gradescope, junit, table

        for path, writer in ((self.gradescope, gradescope.write), (self.junit, junit.write), (self.csv, table.write)):
            if path:
                with files.whole(path) as file:
                    writer(mark, file)
        if self.annotations:
            with outputs.output("") as file:
                annotations.write(mark, file)


@dataclass(frozen=True)
class Order:
    """What is to be run. `quiet`: no progress on stderr, where a JSON document is to stand alone."""

    rubric: Rubric
    protocol: str
    seed: str
    command: tuple[str, ...]
    folder: str
    strict: bool = False
    name: str = ""
    hidden: tuple[str, ...] = ()
    quiet: bool = False
    notes: tuple[str, ...] = ()  # for the mark
    quick: bool = False  # an answer within seconds, from fewer trials

    def say(self, words: str) -> None:
        """A line of progress."""
        if not self.quiet:
            outputs.progress(words)


def rubric_of(rubrics: ModuleType, model: str, path: str) -> Rubric:
    """The rubric of the file, or the default of the model."""
    rubric: Rubric = rubrics.load(Path(path), model) if path else rubrics.default(model)
    return rubric


def secret(*paths: str) -> tuple[str, ...]:
    """The files among these that exist: a submission finds them empty."""
    return tuple(str(Path(path).resolve()) for path in paths if path and Path(path).is_file())


def new_seed() -> str:
    """A seed that no submission can know."""
    return os.urandom(_SEED_BYTES).hex()


def examined(order: Order) -> tuple[Mark, Result]:
    """Runs and judges the submission: its mark, and what the probes saw. Raises WrongUsage, CannotTrace, LabBroken."""
    from findings.threads.serving import Servers
    from runs import protocols
    from runs.grading import criteria, marking
    from runs.grading.session import Entry, run_alone
    from runs.submission import isolation
    from runs.submission.launch import Launch, check_command, check_folder

    protocol = order.protocol or order.rubric.protocol
    protocols.find(protocol)
    check_command(order.command, order.folder)
    if order.strict:
        check_folder(order.folder)
    process.need_tracing()
    unprotected = tuple(f"not protected: {words}" for words in isolation.unprotected(order.strict))
    for words in unprotected:
        order.say(words)
    io_uring = criteria.needs_io_uring(order.rubric.model)
    launch = Launch(order.command, order.folder, order.strict, order.hidden, io_uring)
    entry = Entry(order.name, launch, order.seed or new_seed())
    seen, result = run_alone(entry, order.rubric, protocol, order.say, quick=order.quick)
    mark = marking.mark(seen, Servers(result), order.rubric, protocol)
    notes = (*order.notes, *(unprotected if order.quiet else ()), *mark.notes)
    return replace(mark, notes=notes), result


def run(
    order: Order, *, json: bool, out: str, points: bool, html: str = "", more: Callable[[Mark], None] = lambda _mark: None
) -> int:
    """Runs the submission and prints the report: check's to stdout, grade's to stderr, as stdout belongs to the server.

    The exit status: 0, 1 with faults, 3 inconclusive.
    """
    mark, result = examined(order)
    with outputs.output(out, sys.stderr if points else None) as file:
        _write(mark, file, json, points)
    if html:
        from probes import files
        from reports.html import mark as page
        from runs.report import report

        with files.whole(html) as file:
            page.write(mark, report(result), file, points)
    more(mark)
    return outputs.VERDICT_CODES[mark.status]


def _write(mark: Mark, file: IO[str], json: bool, points: bool) -> None:
    if json:
        from reports.grade import document

        document.write(mark, file)
    else:
        from reports.grade import terminal

        terminal.write(mark, file, points)
