"""`invoke exercise NAME`: a server with gaps to complete; its check, its hints and its solution."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from commands import grading, options, outputs, process
from probes.errors import WrongUsage

if TYPE_CHECKING:
    from runs.exercise.assessment import Assessment
    from runs.exercise.desk import Desk

HELP = {
    "lang": "the language of the server: python or c (default: the language of your file, else python)",
    "dir": "the folder of your files (default: exercises, in the current folder)",
    "again": "write the skeleton anew; your file is kept as FILE.old",
    "check": "try your server, and say for each gap what is missing",
    "hint": "give a hint for the first open gap; each further --hint gives the next hint",
    "solution": "print the solution, once your file has passed the check",
    "watch": "check again each time that you save the file, until it passes; Ctrl-C ends it",
    "seed": "the seed of the traffic of a check (default: a new seed for each check)",
} | options.REPORT_HELP
_LOOKS_EVERY = 0.3  # seconds, for a change of the student's file


def exercise(
    lang: str = "",
    dir: str = "",
    again: bool = False,
    check: bool = False,
    hint: bool = False,
    solution: bool = False,
    watch: bool = False,
    seed: str = "",
    json: bool = False,
    out: str = "",
    *,
    rest: list[str],
) -> int:
    """Complete a server of a model, gap by gap: invoke exercise NAME. Without a name, list the exercises.

    The command writes a skeleton into the folder exercises. --check says which gaps are missing or wrong, and what the clients
    and the probes saw. --hint helps step by step. --solution prints the solution after your file has passed.
    """
    actions = {"--again": again, "--check": check, "--hint": hint, "--solution": solution, "--watch": watch}
    wanted = [name for name, asked in actions.items() if asked]
    _check_usage(rest, wanted)
    outputs.check(out)
    if not rest:
        _list(dir, lang, json, out)
        return 0
    from runs.exercise import desk as desks

    desk = desks.find(rest[0], lang, dir)
    if check or watch:
        return _watch(desk, seed, json, out) if watch else _check(desk, seed, json, out)[1]
    if hint:
        _hint(desk, json, out)
    elif solution:
        _solution(desk, json, out)
    else:
        _begin(desk, again, json, out)
    return 0


def _check_usage(names: list[str], wanted: list[str]) -> None:
    if len(wanted) > 1:
        raise WrongUsage(f"{' and '.join(wanted)} do not go together", "choose one of them")
    if len(names) > 1:
        raise WrongUsage(f"exercise takes one name, not {len(names)}", "invoke exercise epoll")
    if wanted and not names:
        raise WrongUsage(f"{wanted[0]} needs the name of an exercise", f"invoke exercise epoll {wanted[0]}")


def _list(folder: str, language: str, json: bool, out: str) -> None:
    from reports.exercise import document, terminal
    from runs.exercise import desk as desks

    found = [each for each in desks.everything(folder) if language in ("", str(each.exercise.language))]
    with outputs.output(out) as file:
        if json:
            document.write_list(found, file)
        else:
            terminal.write_list(found, file)


def _begin(desk: Desk, again: bool, json: bool, out: str) -> None:
    from reports.exercise import document, terminal

    new = again or not desk.path.exists()
    if new:
        desk.begin()
    with outputs.output(out) as file:
        if json:
            document.write_begun(desk, new, file)
        else:
            terminal.write_begun(desk, new, file)


def _hint(desk: Desk, json: bool, out: str) -> None:
    from reports.exercise import document, terminal

    gap = desk.take_hint()
    with outputs.output(out) as file:
        if json:
            document.write_hint(desk, gap, file)
        else:
            terminal.write_hint(desk, gap, file)


def _solution(desk: Desk, json: bool, out: str) -> None:
    """Prints the solution. Raises WrongUsage before a check has passed."""
    from reports.exercise import document, terminal

    desk.text()
    if not desk.record.passed:
        raise WrongUsage(
            "the solution is shown after your own file has passed the check",
            f"{terminal.line(desk, '--check')} tries it; --hint helps",
        )
    with outputs.output(out) as file:
        if json:
            document.write_solution(desk, file)
        else:
            file.write(desk.exercise.solution())


def _check(desk: Desk, seed: str, json: bool, out: str) -> tuple[Assessment, int]:
    """Runs and judges the student's file, notes the result, and prints it. The exit status: 0, 1 or 3."""
    from reports.exercise import document, terminal

    text = desk.text()
    assessment = _assessed(desk, seed, quiet=json)
    desk.note(text, assessment)
    with outputs.output(out) as file:
        if json:
            document.write_check(assessment, file)
        else:
            terminal.write_check(assessment, str(desk.folder), file)
    return assessment, outputs.VERDICT_CODES[assessment.status]


def _assessed(desk: Desk, seed: str, quiet: bool) -> Assessment:
    """While stubs are left, the trials of later gaps wait, so that the answer comes soon."""
    from runs.exercise import assessment
    from runs.exercise.desk import DoesNotCompile
    from runs.grading import rubric as rubrics

    process.need_tracing()
    written, whole = desk.written(), rubrics.default(desk.exercise.model)
    try:
        with desk.command() as command:
            for rubric in (assessment.so_far(whole, written), whole):
                order = grading.Order(rubric, "", seed, command, str(Path.cwd()), quiet=quiet, quick=True)
                mark, _result = grading.examined(order)
                if mark.status != "pass" or rubric == whole:
                    break
    except DoesNotCompile as error:
        return assessment.Assessment(desk.exercise, str(desk.path), written, None, str(error))
    return assessment.Assessment(
        desk.exercise, str(desk.path), written, mark, trials_left=len(whole.trials) - len(rubric.trials)
    )


def _watch(desk: Desk, seed: str, json: bool, out: str) -> int:
    """Checks at each change of the file, until it passes. The status of the last check."""
    while True:
        before = desk.version()
        assessment, status = _check(desk, seed, json, out)
        if assessment.status == "pass":
            return status
        sys.stdout.flush()
        outputs.progress(f"waiting for a change of {desk.path} (Ctrl-C ends the watch)")
        while desk.version() in (before, desk.NO_FILE):
            time.sleep(_LOOKS_EVERY)
