"""Predict first: the questions on a terminal and as JSON, and the marks beside the evidence."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import IO, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

import labs
from labs.kit.questions.question import Question
from probes.errors import WrongUsage
from probes.measure.result import Result
from reports.words import with_command_name
from runs import predict
from runs.predict import Mark, Prediction

SCHEMA_VERSION = 1


def write_questions(lab: str, seed: int, asked: Sequence[Question], file: IO[str]) -> None:
    """The questions as one JSON document, with their options by letter."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "lab": lab,
        "seed": seed,
        "read_first": predict.read_first(lab),
        "questions": [_question(one) for one in asked],
    }
    json.dump(document, file, indent=1)
    file.write("\n")


def _question(one: Question) -> dict[str, Any]:
    return {"id": one.id, "question": one.text, "options": predict.lettered(one)}


def as_data(result: Result) -> dict[str, Any] | None:
    """The marks as plain JSON data, for the document of the run; None if nobody was asked."""
    found = predict.mark(result)
    if found is None:
        return None
    return {
        "seed": found.seed,
        "points": found.points,
        "of": len(found.marks),
        "questions": [
            _question(one.question) | {"answer": one.answer, "truth": one.truth, "right": one.right, "evidence": one.evidence}
            for one in found.marks
        ],
        "left_out": [{"id": one.id, "question": one.text, "reason": reason} for one, reason in found.left_out],
    }


def introduce(lab: str, traffic: str, out: Console) -> None:
    """What is going to run, and where its source stands: no word of what it will do."""
    out.print(Text.assemble((f"lab {lab}", "bold"), f": {labs.find(lab).question}"))
    out.print(Text(traffic, style="dim"))
    out.print(Text("\n".join(["You may read first:", *(f"  {one}" for one in predict.read_first(lab))])))
    out.print(Text("Then predict. A letter for each question, Enter for no answer, Ctrl-D to leave.", style="dim"))


def ask(asked: Sequence[Question], answer: Callable[[], str], out: Console) -> dict[str, str]:
    """Puts the questions one by one; the answers as the options' texts, those without one left out.

    `answer` returns the next line, "" at the end of the input. Raises KeyboardInterrupt there.
    """
    found: dict[str, str] = {}
    for number, question in enumerate(asked, 1):
        out.print()
        out.print(Text.assemble((f"{number} of {len(asked)}  ", "dim"), (question.text, "bold")))
        out.print(_options(question))
        while True:
            out.print("answer: ", end="")
            line = answer()
            if not line:
                out.print()
                raise KeyboardInterrupt
            if not line.strip():
                break
            try:
                found[question.id] = predict.option(question, line)
                break
            except WrongUsage:
                out.print(Text(f"one of {', '.join(predict.lettered(question))}, please", style="yellow"))
    out.print()
    return found


def _options(question: Question) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=6, justify="right", style="cyan")
    grid.add_column(overflow="fold")
    for letter, text in predict.lettered(question).items():
        grid.add_row(letter, Text(text))
    return grid


def show(result: Result, out: Console, plain: bool) -> bool:
    """The marks, one by one, then the points; False if nobody was asked."""
    found = predict.mark(result)
    if found is None:
        return False
    for number, one in enumerate(found.marks):
        if number:
            out.print()
        _mark(one, out, plain)
    for question, reason in found.left_out:
        out.print()
        out.print(Text(f"left out: {question.text}", style="dim"))
        out.print(Text(f"this run does not tell: {with_command_name(reason)}", style="dim"))
    out.print()
    out.print(_points(found))
    return True


def _points(found: Prediction) -> Text:
    blank = sum(1 for one in found.marks if one.answer is None)
    words = f", {blank} not answered" if blank else ""
    words += f"; seed {found.seed}" if found.marks else "; no question could be marked"
    return Text.assemble((f"{found.points} of {len(found.marks)} points", "bold"), words)


def _mark(one: Mark, out: Console, plain: bool) -> None:
    right, wrong = ("right", "wrong") if plain else ("✓", "✗")
    sign = Text(right, style="bold green") if one.right else Text(wrong, style="bold red")
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=5 if plain else 1)
    grid.add_column(width=8, style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(sign, "asked", Text(one.question.text, style="bold"))
    if one.right:
        grid.add_row("", "you said", Text(one.truth, style="green"))
    else:
        grid.add_row(
            "", "you said", Text(one.answer, style="red") if one.answer else Text("nothing: not answered", style="red")
        )
        grid.add_row("", "it was", Text(one.truth, style="green"))
    grid.add_row("", "evidence", Text(one.evidence))
    out.print(grid)
