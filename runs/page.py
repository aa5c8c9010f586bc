"""All that the page of a lab shows: the lab's own texts, its questions, its servers' source, and a run as an example."""

from __future__ import annotations

import ast
import importlib
import inspect
from dataclasses import dataclass
from pathlib import Path

import labs
from labs.claims import CLAIMS
from labs.kit.lab import Lab
from probes.context import lab_of
from probes.errors import WrongUsage
from probes.measure.result import Result, Verdict
from runs import predict
from runs.exercise import source
from runs.predict import Prediction, Question
from runs.report import Report, report

_ROOT = Path(__file__).resolve().parents[1]
SEED = 1


@dataclass(frozen=True)
class Statement:
    """One check of the lab: its claims (id, text), its description, and its verdict in the example."""

    name: str
    claims: tuple[tuple[str, str], ...]
    about: str
    verdict: Verdict


@dataclass(frozen=True)
class Source:
    """One file that the lab runs, with the functions in it (the case's name or "", the function or "")."""

    path: str
    functions: tuple[tuple[str, str], ...]
    text: str


@dataclass(frozen=True)
class Page:
    """One lab, ready to be written in any form."""

    name: str
    chapter: str
    question: str
    about: str
    watch: str
    seed: int
    questions: tuple[Question, ...]
    try_next: tuple[tuple[str, str], ...]  # (command, reason)
    statements: tuple[Statement, ...]
    sources: tuple[Source, ...]
    experiment: bool  # the source is a function that makes the calls itself, and no server
    exercise: bool  # is there an exercise of the same name?
    reading: tuple[str, ...]
    example: Report
    truths: Prediction  # what the example answers to the questions


def page(name: str, result: Result) -> Page:
    """The page of one lab; `result` is of a run of it. Raises WrongUsage for a run of something else."""
    lab = labs.find(name)
    if (recorded := lab_of(result.context)) != name:
        kind = f"lab {recorded}" if recorded else "a trace"
        raise WrongUsage(f"that is a recording of {kind}, not of lab {name}", f"name a recording of lab {name}")
    return Page(
        name=name,
        chapter=lab.chapter,
        question=lab.question,
        about=_about(name),
        watch=lab.watch,
        seed=SEED,
        questions=predict.questions(name, SEED),
        try_next=tuple(_command(line) for line in lab.try_next),
        statements=_statements(lab, result),
        sources=_sources(name),
        experiment=bool(lab.experiment),
        exercise=name in source.models(),
        reading=lab.reading,
        example=report(result),
        truths=predict.against(result, predict.questions(name, SEED), {}, SEED),
    )


def _about(name: str) -> str:
    """The lab file's own text, without the name in front of it."""
    text = inspect.getdoc(importlib.import_module(f"labs.{name}")) or ""
    return text.partition(": ")[2] or text


def _command(line: str) -> tuple[str, str]:
    command, _, reason = line.partition("  ")
    return command, reason.strip()


def _statements(lab: Lab, result: Result) -> tuple[Statement, ...]:
    verdicts = {check.name: check.verdict for check in result.checks}
    return tuple(
        Statement(
            name=check,
            claims=tuple((claim, CLAIMS[claim].text) for claim in claims),
            about=inspect.getdoc(function) or "",
            verdict=verdicts[check],
        )
        for check, claims, function in lab.checks
    )


def _sources(name: str) -> tuple[Source, ...]:
    """The source of the servers, each file once; of an experiment, which stands beside its checks, its function alone."""
    files: dict[str, list[tuple[str, str]]] = {}
    for case, path, function in predict.sources(name):
        files.setdefault(path, []).append((case, function))
    texts = {path: (_ROOT / path).read_text() for path in files}
    if experiment := labs.find(name).experiment:
        texts = {path: _with_what_it_uses(text, experiment.partition(":")[2]) for path, text in texts.items()}
    return tuple(Source(path, tuple(functions), texts[path]) for path, functions in files.items())


def _with_what_it_uses(text: str, function: str) -> str:
    """The source of a function of a module, and of the functions and constants of that module which it uses."""
    defined: dict[str, ast.stmt] = {}
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            defined[statement.name] = statement
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            defined |= {node.id: statement for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}
    used, open_names = set[ast.stmt](), [function]
    while open_names:
        statement = defined[open_names.pop()]
        if statement not in used:
            used.add(statement)
            names = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
            open_names += [name for name in names if name in defined and name != "LAB"]
    lines, source = text.splitlines(), ""
    for statement in sorted(used, key=lambda statement: statement.lineno):
        constant = isinstance(statement, ast.Assign | ast.AnnAssign)
        written = "\n".join(lines[statement.lineno - 1 : statement.end_lineno])
        source += "\n" * (0 if constant or not source else 2) + written + "\n"
    return source
