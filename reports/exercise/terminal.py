"""The screens of an exercise: the list, the start, a check ordered by gaps, and the hints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from probes.words import count, with_command_name
from reports.grade import terminal as grades
from reports.terminal.screen import Screen, note, printing, section
from runs.exercise.assessment import Assessment, GapState, Judged
from runs.exercise.desk import Desk, State
from runs.exercise.source import Gap, Language, Written
from runs.grading.mark import Item, Verdict

_STYLES = {
    GapState.DONE: "green",
    GapState.FAULT: "bold red",
    GapState.NOT_BEGUN: "yellow",
    GapState.PERHAPS: "red",
    GapState.UNKNOWN: "dim",
    State.PASSED: "green",
    State.BEGUN: "yellow",
    State.NOT_BEGUN: "dim",
}
_STARTS = "starts"  # the criterion
_LINES = 20  # of the compiler's, or of the server's, output
_EDGE = 12  # columns of a gap's state
_INDENT = 8  # of what is below a gap, as in the reports of check


def line(desk: Desk, *options: str) -> str:
    """The command line of this exercise, as the student types it."""
    return command(desk.exercise.model, desk.exercise.language, str(desk.folder), *options)


def command(model: str, language: Language, folder: str, *options: str) -> str:
    """The same from its parts; what is the default is left out."""
    chosen = () if language is Language.PYTHON else ("--lang", str(language))
    place = () if folder == "exercises" else ("--dir", folder)
    return with_command_name(" ".join(["invoke exercise", model, *chosen, *place, *options]))


def write_list(desks: Sequence[Desk], file: IO[str], width: int | None = None) -> None:
    """Every exercise with its state in each language."""
    with printing(file, width) as out:
        passed = sum(desk.state is State.PASSED for desk in desks)
        out.print(Text(f"{count(len(desks), 'exercise')}, {passed} passed", style="bold"))
        section(out, "exercises")
        table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="bold")
        for title in ("model", *(language.words for language in Language)):
            table.add_column(title, no_wrap=True)
        for model in dict.fromkeys(desk.exercise.model for desk in desks):
            own = {desk.exercise.language: desk for desk in desks if desk.exercise.model == model}
            table.add_row(Text(model), *(_state_of(own.get(language)) for language in Language))
        out.print(table)
        out.print()
        note(out, with_command_name("invoke exercise NAME writes a skeleton; --lang c chooses C"))


def _state_of(desk: Desk | None) -> Text:
    if desk is None:
        return Text("-", style="dim")
    if desk.state is State.NOT_BEGUN:
        return Text(str(desk.state), style="dim")
    gaps = f" ({sum(each.begun for each in desk.written())} of {len(desk.exercise.gaps)} gaps)"
    return Text(f"{desk.state}{gaps if desk.state is State.BEGUN else ''}", style=_STYLES[desk.state])


def write_begun(desk: Desk, new: bool, file: IO[str], width: int | None = None) -> None:
    """What the student's file is, the state of its gaps, and what to do next."""
    exercise = desk.exercise
    with printing(file, width) as out:
        title = f"exercise {exercise.model}, {exercise.language.words}: {count(len(exercise.gaps), 'gap')} in {desk.path}"
        out.print(Text(title, style="bold"))
        if not new:
            note(out, "the file existed already, and is unchanged (--again writes the skeleton anew)")
        for caution in desk.cautions:
            note(out, caution)
        section(out, "gaps")
        grid = _grid()
        for each in desk.written():
            grid.add_row(*_gap_line(each, "has code" if each.begun else "not begun", "" if each.begun else "yellow"))
        out.print(grid)
        section(out, "next")
        _steps(
            out,
            [
                ("1", f"write the code between the lines GAP and END of each gap, in {desk.path}"),
                ("2", f"{line(desk, '--check')} says what is missing"),
                ("3", f"{line(desk, '--hint')} gives a hint for the first open gap"),
            ],
        )


def _gap_line(written: Written, state: str, style: str) -> tuple[Text, Text]:
    place = f" (line {written.line})" if written.line else ""
    words = Text.assemble((f"gap {written.gap.number}", "bold"), f"{place}: {written.gap.task}")
    return Text(state, style=style), words


def write_check(assessment: Assessment, folder: str, file: IO[str], width: int | None = None) -> None:
    """The gaps in order; the faults of the first open gap in full."""
    with printing(file, width) as out:
        _title(out, assessment)
        section(out, "gaps")
        for judged in assessment.gaps:
            _gap(out, judged, judged is assessment.open)
        if assessment.compiler:
            section(out, "the compiler's messages")
            _last_lines(out, assessment.compiler.splitlines()[:_LINES])
        else:
            _rest(out, assessment)
        section(out, "next")
        _steps(out, _next(assessment, folder))


def _title(out: Screen, assessment: Assessment) -> None:
    exercise, mark = assessment.exercise, assessment.mark
    done = sum(judged.state is GapState.DONE for judged in assessment.gaps)
    words = "passed" if assessment.status == "pass" else f"{done} of {count(len(assessment.gaps), 'gap')} done"
    words = words.replace("gaps done", "gaps are done").replace("gap done", "gap is done")
    if assessment.status == "inconclusive":
        words = "inconclusive: events were lost"
    out.print(Text(f"exercise {exercise.model}, {exercise.language.words}: {words}", style="bold"))
    if mark is None:
        out.print(Text(f"{assessment.path}   does not compile", style="bold red"))
        return
    met = sum(item.verdict is Verdict.EARNED for item in mark.items)
    judged = sum(item.counts for item in mark.items)
    note(out, f"{assessment.path}   {met} of {judged} checks are met, seed {mark.seed}, {mark.seconds:.1f} s")


def _gap(out: Screen, judged: Judged, in_full: bool) -> None:
    label = "FAULT" if judged.state is GapState.FAULT else str(judged.state)
    grid = _grid()
    grid.add_row(*_gap_line(judged.written, label, _STYLES[judged.state]))
    out.print(grid)
    if in_full:
        for item in judged.faults:
            _fault(out, item, judged.state is not GapState.NOT_BEGUN)
        for mistake in judged.mistakes:
            with_edge = Text(f"also seen: {mistake.statement}: {mistake.seen}", style="dim")
            out.print(Padding(with_edge, (0, 0, 0, _INDENT)))
    else:
        _brief(out, judged.faults)


def _brief(out: Screen, faults: Sequence[Item]) -> None:
    for item in faults:
        out.print(Padding(Text(f"not met: {item.criterion.statement}", style="dim"), (0, 0, 0, _INDENT)))


def _fault(out: Screen, item: Item, in_full: bool = True) -> None:
    """A fault below its gap. Where the gap is not begun, what was seen says enough."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=6, no_wrap=True)
    grid.add_column(ratio=1)
    grid.add_row(Text("check", style="dim"), Text(item.criterion.statement, style="bold"))
    if not in_full:
        grid.add_row(Text("seen", style="dim"), Text(item.seen))
    out.print(Padding(grid, (0, 0, 0, _INDENT)))
    if in_full:
        grades.explain(out, item)


def _rest(out: Screen, assessment: Assessment) -> None:
    """Faults that no gap names, what could not be tried, and what the server printed at its end."""
    mark = assessment.mark
    assert mark is not None
    if assessment.others:
        section(out, _title_of_others(assessment))
        for item in assessment.others:
            if assessment.open and item.criterion.id != _STARTS:
                _brief(out, [item])
            else:
                _fault(out, item)
    hidden, left = len(assessment.following) + assessment.not_tried, assessment.trials_left
    if hidden or left:
        section(out, "not known yet")
    if hidden:
        note(out, f"{count(hidden, 'further check')} can't be met without the right replies")
    if left:
        note(out, f"{count(left, 'trial')} of later gaps will run when those gaps have code")
    if mark.lost and mark.output and ("Traceback" in mark.output or not mark.items[0].points):
        section(out, "the last lines that the server printed")
        _last_lines(out, mark.output.splitlines()[-6:])
    for words in mark.notes:
        note(out, f"note: {words}")


def _title_of_others(assessment: Assessment) -> str:
    if any(item.criterion.id == _STARTS for item in assessment.others):
        return "the server does not start"
    done = all(judged.state is GapState.DONE for judged in assessment.gaps)
    return "the gaps are done, but other checks are not met" if done else "other checks that are not met"


def _last_lines(out: Screen, lines: Sequence[str]) -> None:
    for words in lines:
        out.print(Text(words))


def _next(assessment: Assessment, folder: str) -> list[tuple[str, str]]:
    def typed(*options: str) -> str:
        return command(assessment.exercise.model, assessment.exercise.language, folder, *options)

    model, judged = assessment.exercise.model, assessment.open
    if assessment.status == "pass":
        return [
            ("1", f"{typed('--solution')} prints the solution of iolab: compare it with yours"),
            ("2", with_command_name(f"invoke lab {model} shows what the kernel does under a server of this model")),
        ]
    if assessment.compiler:
        return [("1", f"mend what the compiler names, then {typed('--check')}")]
    if judged is None:
        return [("1", f"mend the first fault, then {typed('--check')}")]
    at = f", line {judged.written.line}" if judged.written.line else ""
    work = f"work on gap {judged.gap.number} ({assessment.path}{at})"
    if len(assessment.suspected) > 1:
        *numbers, last = (str(each.gap.number) for each in assessment.suspected)
        work = f"look for the fault in gap {', '.join(numbers)} or {last} ({assessment.path})"
    return [
        ("1", f"{work}, then {typed('--check')}"),
        ("2", f"{typed('--hint')} gives a hint for gap {judged.gap.number}"),
    ]


def _steps(out: Screen, steps: Sequence[tuple[str, str]]) -> None:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=2, no_wrap=True)
    grid.add_column(ratio=1)
    for number, words in steps:
        grid.add_row(Text(number, style="dim"), Text(words))
    out.print(grid)


def write_hint(desk: Desk, gap: Gap | None, file: IO[str], width: int | None = None) -> None:
    """The hints of a gap that the student has seen so far."""
    exercise = desk.exercise
    with printing(file, width) as out:
        if gap is None:
            passed = desk.state is State.PASSED
            out.print(Text(f"exercise {exercise.model}, {exercise.language.words}: no gap is open", style="bold"))
            words = "the exercise has passed" if passed else f"{line(desk, '--check')} says which gaps are not right"
            note(out, words)
            return
        written = next(each for each in desk.written() if each.gap.number == gap.number)
        at = f", line {written.line}" if written.line else ""
        title = f"exercise {exercise.model}, {exercise.language.words}: gap {gap.number} ({desk.path}{at})"
        out.print(Text(title, style="bold"))
        out.print(Text(gap.task))
        section(out, "hints")
        seen = desk.record.seen(gap.number)
        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=6, no_wrap=True)
        grid.add_column(ratio=1)
        for number, hint in enumerate(gap.hints[:seen], 1):
            grid.add_row(Text(f"{number} of {len(gap.hints)}", style="dim"), Text(hint))
        out.print(grid)
        out.print()
        more = f"{line(desk, '--hint')} gives the next hint" if seen < len(gap.hints) else "this gap has no more hints"
        note(out, f"{more}; {line(desk, '--check')} tries your code")


def _grid() -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=_EDGE - 1, no_wrap=True)
    grid.add_column(ratio=1)
    return grid
