"""`invoke grade-all MODEL DIR -- CMD ARGS`: a class at once, with a table, statistics, and a page for each submission."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from commands import grading, options, outputs, process
from probes.errors import WrongUsage

if TYPE_CHECKING:
    from runs.grading.mark import Mark
    from runs.grading.whole_class import Course

_MOST_JOBS = 32
HELP = (
    {
        "model": f"the I/O model that the servers must have: {grading.MODELS}",
        "dir": "the folder of the class: one folder for each submission, in which CMD starts",
        "results": "the folder for the marks (default: DIR-marks); a second start goes on where the first ended",
        "jobs": "how many submissions run at the same time (default: 2 for each CPU)",
        "rubric": "a TOML file with the points; docs/instructors.md has the format",
    }
    | grading.HELP
    | {"json": "write the marks as one JSON document", "out": "write the table to this file"}
)


def grade_all(
    model: str, dir: str, results: str = "", jobs: str = "", rubric: str = "", protocol: str = "", seed: str = "",
    json: bool = False, out: str = "", *, rest: list[str],
) -> int:  # fmt: skip
    """Grade a class: invoke grade-all MODEL DIR -- CMD ARGS. DIR has a folder for each submission.

    The results are marks.csv, statistics.csv, and a page for each submission with the reason for each lost point.
    """
    outputs.check(out)
    course = _course(model, dir, results, jobs, rubric, protocol, seed, rest)
    process.need_tracing()
    from runs.submission import isolation

    for words in isolation.unprotected(strict=True):
        outputs.progress(f"not protected: {words}")
    marks = _mark(course)
    _write_files(course, marks)
    with outputs.output(out) as file:
        if json:
            from reports.grade import document

            document.write_class(marks, file)
        else:
            from reports.grade import whole_class

            whole_class.write(marks, file)
    outputs.progress(f"marks.csv, statistics.csv and pages are in {course.results}")
    verdicts = {mark.status for mark in marks}
    return 3 if "inconclusive" in verdicts else int("fail" in verdicts)


def _course(
    model: str, folder: str, results: str, jobs: str, rubric: str, protocol: str, seed: str, command: list[str]
) -> Course:
    from runs import protocols
    from runs.grading import rubric as rubrics
    from runs.grading.whole_class import Course
    from runs.submission import launch

    points = grading.rubric_of(rubrics, model, rubric)
    place = Path(folder).resolve()
    if not place.is_dir():
        raise WrongUsage(f"there is no folder {folder}", "name the folder that has a folder for each submission")
    if not command:
        raise WrongUsage("no server to start", "give its command line after --: ... -- python3 server.py {port}")
    protocols.find(protocol or points.protocol)
    number = options.number("jobs", jobs) if jobs else 2 * len(os.sched_getaffinity(0))
    if not 1 <= number <= _MOST_JOBS:
        raise WrongUsage(f"--jobs {number} is out of range", f"give a number from 1 to {_MOST_JOBS}")
    where = Path(results).resolve() if results else place.with_name(f"{place.name}-marks")
    where.mkdir(parents=True, exist_ok=True)
    hidden = grading.secret(rubric, protocol)
    course = Course(points, protocol or points.protocol, _seed(where, seed), tuple(command), place, where, number, hidden)
    entries = course.entries()
    if not entries:
        raise WrongUsage(f"there is no submission in {folder}", "it needs a folder for each submission")
    for entry in entries:
        launch.check_folder(entry.launch.folder)
    return course


def _seed(results: Path, seed: str) -> str:
    """The seed of the traffic: that of an earlier start, so that its marks stay."""
    place = results / "seed"
    if not seed and place.exists():
        return place.read_text(encoding="utf-8").strip()
    seed = seed or grading.new_seed()
    place.write_text(f"{seed}\n", encoding="utf-8")
    return seed


def _mark(course: Course) -> list[Mark]:
    """The marks of all submissions, by name: those of an earlier start, and new ones."""
    from runs.grading import whole_class

    entries = course.entries()
    marks = {entry.name: mark for entry in entries if (mark := course.kept(entry))}
    left = [entry for entry in entries if entry.name not in marks]
    if marks:
        outputs.progress(f"{len(marks)} of {len(entries)} marks are there from an earlier start")
    with _progress(len(left)) as advance:

        def done(mark: Mark) -> None:
            marks[mark.name] = mark
            advance(mark)

        whole_class.run(course, left, done)
    return [marks[entry.name] for entry in entries]


@contextmanager
def _progress(number: int) -> Iterator[Callable[[Mark], None]]:
    """A bar with the time left on a terminal; elsewhere a line for each mark."""
    begin, done = time.monotonic(), 0
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("iolab: marking"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task("marking", total=number)
            yield lambda _mark: bar.advance(task)
        return

    def line(mark: Mark) -> None:
        nonlocal done
        done += 1
        left = (time.monotonic() - begin) / done * (number - done)
        outputs.progress(f"{done} of {number}: {mark.name} {mark.points} of {mark.of} points; about {left:.0f} s left")

    yield line


def _write_files(course: Course, marks: list[Mark]) -> None:
    from probes import files
    from reports.grade import table, terminal

    pages = course.results / "pages"
    pages.mkdir(exist_ok=True)
    for mark in marks:
        with files.whole(str(pages / f"{mark.name}.txt")) as file:
            terminal.write(mark, file, points=True, width=100, explained=True)
    with files.whole(str(course.results / "marks.csv")) as file:
        table.write_class(marks, file)
    with files.whole(str(course.results / "statistics.csv")) as file:
        table.write_statistics(marks, file)
