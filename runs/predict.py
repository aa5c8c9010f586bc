"""Predict first: the answers that a class gave before a lab ran, marked by what that run measured.

`questions("epoll", seed=1)` are the same on every machine: the seed chooses among a lab's questions and shuffles their
options (ranges of numbers stay in order, up or down). The truth is different in each run (labs/kit/questions/). A recording's
context keeps the answers, {"seed": 1, "answers": {"calls": "3"}}, so that each command that shows it can mark them again.
"""

from __future__ import annotations

import ast
import dataclasses
import json
import random
import string
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import labs
from labs.kit.lab import NotOffered, Run
from labs.kit.questions import asked as rules
from labs.kit.questions.question import Question as Question
from labs.kit.questions.question import Undecided
from probes.context import LabRun
from probes.errors import WrongUsage
from probes.measure.result import Result

_ROOT = Path(__file__).resolve().parents[1]
MOST = 5  # questions of a lab at a time
_FORM = 'give an object of answers by question, like {"calls": "b"}; invoke lab NAME --questions prints the questions'


def questions(lab: str, seed: int) -> tuple[Question, ...]:
    """The questions of a lab for this seed. Raises WrongUsage for a lab that doesn't exist."""
    chance = random.Random(f"{lab}/{seed}")
    always, some = rules.of(lab)
    chosen = sorted(chance.sample(range(len(some)), min(MOST - len(always), len(some))))
    return tuple(_shuffled(question, chance) for question in [*always, *(some[index] for index in chosen)])


def sources(lab: str) -> list[tuple[str, str, str]]:
    """The source that a lab runs, one row for each server: the case's name or "", the file, the function or ""."""
    found = labs.find(lab)
    if found.experiment:
        return [("", *_place(found.experiment))]
    return [(case.name, *_place(f"servers.{case.server}")) for case in found.servers]


def read_first(lab: str) -> list[str]:
    """The same in lines to predict from: "broken: servers/mistakes/slow_handler.py, broken"."""
    return [f"{case}: " * bool(case) + path + f", {function}" * bool(function) for case, path, function in sources(lab)]


def _place(name: str) -> tuple[str, str]:
    """The file where a function is defined; the module in its name may only import it."""
    module, _, function = name.partition(":")
    path = f"{module.replace('.', '/')}.py"
    for node in ast.walk(ast.parse((_ROOT / path).read_text())) if function else ():
        if isinstance(node, ast.ImportFrom) and node.module and any(alias.name == function for alias in node.names):
            path = f"{node.module.replace('.', '/')}.py"
    return path, function


def _shuffled(question: Question, chance: random.Random) -> Question:
    options = list(question.options)
    if not question.ranges:
        chance.shuffle(options)
    elif chance.random() < 0.5:
        options.reverse()
    return dataclasses.replace(question, options=tuple(options))


def lettered(question: Question) -> dict[str, str]:
    """A question's options by letter, a to z."""
    return dict(zip(string.ascii_lowercase, question.options, strict=False))


def option(question: Question, answer: str) -> str:
    """The option that an answer means, by its letter or its text. Raises WrongUsage for anything else."""
    said = answer.strip().casefold()
    for letter, text in lettered(question).items():
        if said in (letter, text.casefold()):
            return text
    offered = "".join(f"\n    {letter}  {text}" for letter, text in lettered(question).items())
    raise WrongUsage(f"{answer!r} is no answer to {question.id}", f"give one of these letters, or its text:{offered}")


def read(place: str) -> Any:
    """The JSON in a file, or, for "-", on stdin. Raises WrongUsage."""
    where = "stdin" if place == "-" else place
    try:
        return json.loads(sys.stdin.read() if place == "-" else Path(place).read_text())
    except OSError as error:
        raise WrongUsage(f"can't read {where}: {error.strerror}", "name a file with answers, or - for stdin") from error
    except ValueError as error:
        raise WrongUsage(f"the answers in {where} are not JSON ({error})", _FORM) from error


def answers(asked: Sequence[Question], letters: Any) -> dict[str, str]:
    """What was answered, as the options' texts, from an object of letters or texts. Raises WrongUsage.

    null and "" are no answers.
    """
    if not isinstance(letters, dict):
        raise WrongUsage("the answers are not a JSON object", _FORM)
    found, known = {}, {question.id: question for question in asked}
    for name, answer in letters.items():
        if name not in known:
            raise WrongUsage(f"there is no question {name!r}", f"for this lab and seed there are: {', '.join(known)}")
        if not isinstance(answer, str | None):
            raise WrongUsage(f"the answer to {name} is not a text: {json.dumps(answer)}", _FORM)
        if answer and answer.strip():
            found[name] = option(known[name], answer)
    return found


@dataclass(frozen=True)
class Mark:
    """One answer with the truth. `answer` is None for a question that was not answered."""

    question: Question
    answer: str | None
    truth: str
    evidence: str

    @property
    def right(self) -> bool:
        """Is the answer what the run showed?"""
        return self.answer == self.truth


@dataclass(frozen=True)
class Prediction:
    """The answers to one run's questions, marked. `left_out` are those that this run can't decide, with the reasons."""

    seed: int
    marks: tuple[Mark, ...]
    left_out: tuple[tuple[Question, str], ...]

    @property
    def points(self) -> int:
        """One for each right answer."""
        return sum(mark.right for mark in self.marks)


def mark(result: Result) -> Prediction | None:
    """The answers in the recording of a run, marked; None for a run without answers."""
    context = result.context
    if not isinstance(context, LabRun) or context.prediction is None:
        return None
    seed = context.prediction.seed
    return against(result, questions(context.lab, seed), context.prediction.answers, seed)


def against(result: Result, asked: Sequence[Question], chosen: Mapping[str, str], seed: int) -> Prediction:
    """Compares these answers with a run. Where events were lost, no answer is marked: the lost events may hold the truth."""
    run, marks, left_out = Run(result), [], []
    for question in asked:
        try:
            if not result.events.sound:
                raise Undecided(f"{result.events.lost} events were lost, {result.events.unmatched} are unmatched")
            if result.events.full:
                raise Undecided("the recording was full before the end")
            truth = question.truth(run)
            if truth.option not in question.options:
                raise Undecided(f"the truth is none of the options but {truth.option}: {truth.evidence}")
        except (Undecided, NotOffered) as why:
            left_out.append((question, str(why)))
        else:
            marks.append(Mark(question, chosen.get(question.id), truth.option, truth.evidence))
    return Prediction(seed, tuple(marks), tuple(left_out))
