"""A page per lab, in Markdown, for a course to hand out: what to predict, what to read and to run.

The answers are a second page: the right option of each question, a run as an example, and the statements that the lab checks.

Everything in it comes from the lab's own file, from its servers' source and from a recording, so a page cannot differ from
what the lab does: tests/test_handouts.py compares docs/labs with what is written here.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence

from reports.figures import captions
from reports.terminal import page as terminal
from reports.words import VERDICTS
from runs import predict
from runs.catalogue import LabEntry
from runs.page import Page, Source
from runs.report import Drawn, Report

_WIDTH = 80
_DRAWN = 2  # figures of a lab with several servers: as a rule the broken server and the mended one


def page(content: Page) -> str:
    """The page for students, without the answers."""
    return _joined(f"# lab {content.name}: {content.question}", f"*{content.chapter}*", *_for_students(content))


def answers(content: Page) -> str:
    """The page with the answers."""
    title = f"# lab {content.name}: the answers"
    drawn = [_image(name, found) for name, found in figures(content)]
    return _joined(title, f"The questions: [{content.name}.md](../{content.name}.md).", *_for_instructors(content, drawn))


def figures(content: Page) -> list[tuple[str, Drawn]]:
    """The figures of the page with the answers, each with the name of its file in the folder figures."""
    found = content.example.figures[:_DRAWN]
    return [(f"{content.name}-{number}" if drawn.case else content.name, drawn) for number, drawn in enumerate(found, 1)]


def _image(name: str, drawn: Drawn) -> str:
    caption = captions.caption(drawn.figure, drawn.result, drawn.case)
    case = f"{drawn.case}:\n\n" if drawn.case else ""
    return f"{case}![{caption.title}](../figures/{name}.svg)"


def both(content: Page) -> str:
    """Questions and answers on one page."""
    title = f"# lab {content.name}: {content.question}"
    return _joined(title, f"*{content.chapter}*", *_for_students(content), *_for_instructors(content))


def _joined(*parts: str) -> str:
    return "\n\n".join(parts) + "\n"


def _for_students(content: Page) -> list[str]:
    heading = "The experiment" if content.experiment else "The server" if len(content.sources) == 1 else "The servers"
    read = "the experiment below" if content.experiment else _list([_link(source) for source in content.sources])
    return [
        "## Predict",
        f"Write your answers down before you run anything. Read this first: {read}.",
        *_questions(content),
        "## Run",
        f"```\n./iolab lab {content.name} --predict --seed {content.seed}\n```",
        "The command asks these questions, runs the lab and marks your answers.",
        "Then try:",
        "\n".join(f"- `{command.replace('invoke ', './iolab ', 1)}`" for command, _reason in content.try_next),
        *_exercise(content),
        f"## {heading}",
        *(f"`{source.path}`\n\n```python\n{source.text}```" for source in content.sources),
        "## Further reading",
        "\n".join(f"- {text}" for text in content.reading),
    ]


def _exercise(content: Page) -> list[str]:
    """Where the student writes a server of this model."""
    if not content.exercise:
        return []
    command = f"./iolab exercise {content.name}"
    return [
        f"To write such a server yourself: `{command}` writes a server with gaps to complete, and `{command} --check` tests it."
    ]


def _for_instructors(content: Page, drawn: Sequence[str] = ()) -> list[str]:
    machine = content.example.result.machine
    return [
        "## Answers",
        "The right options according to the run below. On another machine the evidence has other figures.",
        *_truths(content),
        f"## What the lab shows\n\n{_sentence(content.about)}",
        f"Watch: {content.watch}",
        "Then try:",
        "\n".join(f"- `{command.replace('invoke ', './iolab ', 1)}`: {reason}" for command, reason in content.try_next),
        "## What one machine showed",
        f"Kernel {machine.kernel}, {machine.cpus} CPUs. Your times will differ. Your wait queues and verdicts should be"
        " the same, with one exception: a kernel that allows probes in its functions may turn *refined* into *confirmed*, or"
        " *confirmed* into *refined*.",
        *drawn,
        f"```\n{_report(content.example)}```",
        "## Statements checked",
        *_statements(content),
    ]


def index(labs: Sequence[LabEntry]) -> str:
    """The list of all pages, by chapter."""
    lines = [
        "# The labs",
        "",
        "Each lab has a page to hand out: what to predict, what to read, what to run. Its answers are on a page of their own:",
        "the right options, a run as an example, and the statements that the lab checks.",
    ]
    for chapter, of_chapter in itertools.groupby(labs, lambda lab: lab.chapter):
        lines += ["", f"## {chapter}", "", *map(_entry, of_chapter)]
    return "\n".join(lines) + "\n"


def _entry(lab: LabEntry) -> str:
    return f"- [{lab.name}]({lab.name}.md): {lab.question} ([answers](answers/{lab.name}.md))"


def _questions(content: Page) -> list[str]:
    asked = []
    for number, question in enumerate(content.questions, 1):
        options = "\n".join(f"   - {letter}) {text}" for letter, text in predict.lettered(question).items())
        asked.append(f"{number}. {question.text}\n{options}")
    return asked


def _truths(content: Page) -> list[str]:
    """The right option of each question with its evidence, in the order of the questions."""
    marks = {mark.question.id: mark for mark in content.truths.marks}
    reasons = {question.id: reason for question, reason in content.truths.left_out}
    found = []
    for number, question in enumerate(content.questions, 1):
        mark = marks.get(question.id)
        if mark is None:
            found.append(f"{number}. {question.text}\n   This run does not decide it: {reasons[question.id]}.")
            continue
        letter = next(letter for letter, text in predict.lettered(question).items() if text == mark.truth)
        found.append(f"{number}. {question.text}\n   **{letter}) {mark.truth}**\n   {_sentence(mark.evidence)}.")
    return found


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _report(example: Report) -> str:
    file = io.StringIO()
    terminal.write(example, file, width=_WIDTH)
    kept = file.getvalue().split("\ntry next:")[0].rstrip()
    return kept.replace("invoke ", "./iolab ") + "\n"


def _statements(content: Page) -> list[str]:
    """Each check with the claims that it stands for; a claim's text is given once."""
    found, quoted = [], set[str]()
    for statement in content.statements:
        claims = "\n".join(f"> {claim} {text if claim not in quoted else '(above)'}" for claim, text in statement.claims)
        quoted.update(claim for claim, _text in statement.claims)
        found.append(f"**{statement.name}** ({VERDICTS[statement.verdict].word} above)\n\n{claims}\n\n{statement.about}")
    return found


def _link(source: Source) -> str:
    """A link to the file, with the functions to read in it."""
    cases = [": ".join(filter(None, (case, function and f"`{function}`"))) for case, function in source.functions]
    return f"[{source.path}](../../{source.path})" + (f" ({', '.join(cases)})" if any(cases) else "")


def _list(words: list[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]
