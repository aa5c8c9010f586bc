"""A page per lab, in Markdown, for a course to hand out: what to predict, what to run, what to see, what it proves.

Everything in it comes from the lab's own file, from its servers' source and from a recording, so a page can't drift from what
the lab does: tests/test_handouts.py holds docs/labs against what is written here.
"""

from __future__ import annotations

import importlib
import inspect
import io
from pathlib import Path

import labs
from labs.claims import CLAIMS
from labs.kit.lab import CHAPTERS, Lab
from probes.errors import WrongUsage
from probes.measure.result import Result
from reports import terminal
from runs import predict

ROOT = Path(__file__).resolve().parents[1]
SEED = 1


def page(name: str, result: Result) -> str:
    """The page of one lab; `result` is of a run of it, as an example of what one sees."""
    lab = labs.find(name)
    if result.context.get("lab") != name:
        found = result.context.get("lab")
        raise WrongUsage(
            f"that is a recording of {f'lab {found}' if found else 'a trace'}, not of lab {name}", "name one of its own"
        )
    parts = [
        f"# lab {name}: {lab.question}",
        _about(name, lab),
        "## Predict",
        "Write your answers down before you run anything. What you need to know stands in " + _list(_read_first(name)) + ".",
        *_questions(name),
        "## Run",
        f"```\n./iolab lab {name} --predict --seed {SEED}\n```",
        f"It asks these questions, runs the lab and marks your answers. Watch: {lab.watch}",
        "Then try:",
        "\n".join(_attach_candidate(one) for one in lab.try_next),
        "## What one machine showed",
        f"Kernel {result.machine['kernel']}, {result.machine['cpus']} CPUs. Your times will differ; your queues and verdicts"
        " should not, but *refined* may be *confirmed* where the kernel takes probes in its functions, or the other way round.",
        f"```\n{_report(result)}```",
        "## What it proves",
        *_proofs(lab, result),
        "## The server" if len(_files(name)) == 1 else "## The servers",
        *(f"`{path}`\n\n```python\n{(ROOT / path).read_text()}```" for path in _files(name)),
        "## Further reading",
        "\n".join(f"- {one}" for one in lab.reading),
    ]
    return "\n\n".join(parts) + "\n"


def index() -> str:
    """The list of all pages, by chapter."""
    lines = ["# The labs", "", "A page for each, to hand out: what to predict, what to run, what to see, what it proves."]
    for chapter in CHAPTERS:
        lines += ["", f"## {chapter}", ""]
        lines += [
            f"- [{name}]({name}.md): {labs.find(name).question}" for name in labs.names() if labs.find(name).chapter == chapter
        ]
    return "\n".join(lines) + "\n"


def _about(name: str, lab: Lab) -> str:
    text = inspect.getdoc(importlib.import_module(f"labs.{name}")) or ""
    return f"*{lab.chapter}*\n\n{text.partition(': ')[2] or text}"


def _questions(name: str) -> list[str]:
    asked = []
    for number, question in enumerate(predict.questions(name, SEED), 1):
        options = "\n".join(f"   - {letter}) {text}" for letter, text in predict.lettered(question).items())
        asked.append(f"{number}. {question.text}\n{options}")
    return asked


def _attach_candidate(line: str) -> str:
    command, _, why = line.partition("  ")
    return f"- `{command.replace('invoke ', './iolab ', 1)}`: {why.strip()}"


def _report(result: Result) -> str:
    file = io.StringIO()
    terminal.write(result, file, width=80)  # wherever it is made
    kept = file.getvalue().split("\ntry next:")[0].rstrip()
    return kept.replace("invoke ", "./iolab ") + "\n"


def _proofs(lab: Lab, result: Result) -> list[str]:
    verdicts = {one.name: one.verdict for one in result.checks}
    found = []
    quoted: set[str] = set()
    for check, claims, function in lab.checks:
        said = "\n".join(f"> {claim} {CLAIMS[claim].text if claim not in quoted else '(above)'}" for claim in claims)
        quoted.update(claims)
        found.append(f"**{check}** ({verdicts[check]} above)\n\n{said}\n\n{inspect.getdoc(function)}")
    return found


def _files(name: str) -> list[str]:
    """The source of the servers, each file once; the lab's own for an experiment."""
    return list(dict.fromkeys(path for _, path, _ in predict.sources(name)))


def _read_first(name: str) -> list[str]:
    """The places to predict from, each file linked once, with what in it is whose."""
    files: dict[str, list[str]] = {}
    for case, path, function in predict.sources(name):
        files.setdefault(path, []).append(": ".join(filter(None, (case, function and f"`{function}`"))))
    return [f"[{path}](../../{path})" + (f" ({', '.join(cases)})" if any(cases) else "") for path, cases in files.items()]


def _list(words: list[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]
