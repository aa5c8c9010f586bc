"""Predict first: the questions on a terminal, and the marked answers with the evidence."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.table import Table
from rich.text import Text

from probes.errors import WrongUsage
from probes.words import visible
from reports.terminal.screen import Screen, note
from reports.words import with_command_name
from runs import predict
from runs.predict import Mark, Prediction, Question


def introduce(lab: str, question: str, traffic: str, out: Screen) -> None:
    """What is going to run, and where its source stands: no word of what it will do."""
    out.print(Text.assemble((f"lab {lab}", "bold"), f": {question}"))
    if traffic:
        note(out, traffic)
    out.print(Text("\n".join(["You may read first:", *(f"  {path}" for path in predict.read_first(lab))])))
    note(out, "Then predict: type a letter for each question, Enter to give no answer, Ctrl-D to leave.")


def ask(asked: Sequence[Question], answer: Callable[[], str], out: Screen) -> dict[str, str]:
    """Puts the questions one by one; the answers as the options' texts, those without an answer left out.

    `answer` returns the next line, "" at the end of the input. Raises KeyboardInterrupt there.
    """
    found: dict[str, str] = {}
    for number, question in enumerate(asked, 1):
        out.print()
        out.print(Text.assemble((f"{number} of {len(asked)}  ", "dim"), (question.text, "bold")))
        out.print(_options(question))
        if text := _answer(question, answer, out):
            found[question.id] = text
    out.print()
    return found


def _answer(question: Question, answer: Callable[[], str], out: Screen) -> str | None:
    """The option that the next usable line means; None for an empty line."""
    while True:
        out.print("answer: ", end="")
        line = answer()
        if not line:
            out.print()
            raise KeyboardInterrupt
        if not line.strip():
            return None
        try:
            return predict.option(question, line)
        except WrongUsage:
            note(out, f"please type one of {', '.join(predict.lettered(question))}", "yellow")


def _options(question: Question) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=6, justify="right", style="cyan")
    grid.add_column(overflow="fold")
    for letter, text in predict.lettered(question).items():
        grid.add_row(letter, Text(text))
    return grid


def show(found: Prediction, out: Screen) -> None:
    """Each mark, then the points."""
    for number, mark in enumerate(found.marks):
        if number:
            out.print()
        _mark(mark, out)
    for question, reason in found.left_out:
        out.print()
        note(out, f"left out: {question.text}")
        note(out, f"this run does not show the answer: {visible(with_command_name(reason))}")
    out.print()
    out.print(_points(found))


def _points(found: Prediction) -> Text:
    blank = sum(1 for mark in found.marks if mark.answer is None)
    words = f", {blank} not answered" if blank else ""
    words += f"; seed {found.seed}" if found.marks else "; no question could be marked"
    return Text.assemble((f"{found.points} of {len(found.marks)} points", "bold"), words)


def _mark(mark: Mark, out: Screen) -> None:
    right, wrong = ("right", "wrong") if out.plain else ("✓", "✗")
    sign = Text(right, style="bold green") if mark.right else Text(wrong, style="bold red")
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=5 if out.plain else 1)
    grid.add_column(width=11, style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(sign, "question", Text(mark.question.text, style="bold"))
    said = "no answer" if mark.answer is None else visible(mark.answer)
    grid.add_row("", "your answer", Text(said, style="green" if mark.right else "red"))
    if not mark.right:
        grid.add_row("", "measured", Text(mark.truth, style="green"))
    grid.add_row("", "evidence", Text(visible(mark.evidence)))
    out.print(grid)
