"""A page per lab, in Markdown, for a course to hand out: what to predict, what to run, what to see, what it shows.

Everything in it comes from the lab's own file, from its servers' source and from a recording, so a page cannot differ from
what the lab does: tests/test_handouts.py compares docs/labs with what is written here.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence

from reports.terminal import page as terminal
from runs import predict
from runs.catalogue import LabEntry
from runs.page import Page, Source
from runs.report import Report

_WIDTH = 80


def page(content: Page) -> str:
    """The page of one lab."""
    machine = content.example.result.machine
    parts = [
        f"# lab {content.name}: {content.question}",
        f"*{content.chapter}*\n\n{content.about}",
        "## Predict",
        f"Write your answers down before you run anything. Read this first: {_list([_link(one) for one in content.sources])}.",
        *_questions(content),
        "## Run",
        f"```\n./iolab lab {content.name} --predict --seed {content.seed}\n```",
        f"The command asks these questions, runs the lab and marks your answers. Watch: {content.watch}",
        "Then try:",
        "\n".join(f"- `{command.replace('invoke ', './iolab ', 1)}`: {reason}" for command, reason in content.try_next),
        "## What one machine showed",
        f"Kernel {machine['kernel']}, {machine['cpus']} CPUs. Your times will differ. Your wait queues and verdicts should be"
        " the same, with one exception: a kernel that allows probes in its functions may turn *refined* into *confirmed*, or"
        " *confirmed* into *refined*.",
        f"```\n{_report(content.example)}```",
        "## Statements checked",
        *_statements(content),
        "## The server" if len(content.sources) == 1 else "## The servers",
        *(f"`{one.path}`\n\n```python\n{one.text}```" for one in content.sources),
        "## Further reading",
        "\n".join(f"- {one}" for one in content.reading),
    ]
    return "\n\n".join(parts) + "\n"


def index(labs: Sequence[LabEntry]) -> str:
    """The list of all pages, by chapter."""
    lines = ["# The labs", "", "Each lab has a page to hand out: what to predict, what to run, what to see, what it shows."]
    for chapter, of_chapter in itertools.groupby(labs, lambda lab: lab.chapter):
        lines += ["", f"## {chapter}", "", *(f"- [{lab.name}]({lab.name}.md): {lab.question}" for lab in of_chapter)]
    return "\n".join(lines) + "\n"


def _questions(content: Page) -> list[str]:
    asked = []
    for number, question in enumerate(content.questions, 1):
        options = "\n".join(f"   - {letter}) {text}" for letter, text in predict.lettered(question).items())
        asked.append(f"{number}. {question.text}\n{options}")
    return asked


def _report(example: Report) -> str:
    file = io.StringIO()
    terminal.write(example, file, width=_WIDTH)
    kept = file.getvalue().split("\ntry next:")[0].rstrip()
    return kept.replace("invoke ", "./iolab ") + "\n"


def _statements(content: Page) -> list[str]:
    """Each check with the claims that it stands for; a claim's text is given once."""
    found, quoted = [], set[str]()
    for one in content.statements:
        claims = "\n".join(f"> {claim} {text if claim not in quoted else '(above)'}" for claim, text in one.claims)
        quoted.update(claim for claim, _text in one.claims)
        found.append(f"**{one.name}** ({one.verdict} above)\n\n{claims}\n\n{one.about}")
    return found


def _link(source: Source) -> str:
    """A link to the file, with the functions to read in it."""
    cases = [": ".join(filter(None, (case, function and f"`{function}`"))) for case, function in source.functions]
    return f"[{source.path}](../../{source.path})" + (f" ({', '.join(cases)})" if any(cases) else "")


def _list(words: list[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]
