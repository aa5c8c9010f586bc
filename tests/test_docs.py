"""The documents are true to the code: commands, options, quoted messages and named functions exist."""

from __future__ import annotations

import ast
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from probes.recording import load
from reports.terminal import page as terminal
from runs.lab import measure_and_check
from runs.report import report
from tasks import ns as COLLECTION
from tests.conftest import DATA, ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
IDS = [str(page.relative_to(ROOT)) for page in PAGES]
COMMAND = re.compile(r"(?:^|[`|(]|sudo |\$ )(?:\./iolab|invoke) ([a-z][\w-]*)([^`|\n]*)", re.MULTILINE)
SOURCES = [ROOT / "iolab", ROOT / "tasks.py"] + [
    path
    for room in ("commands", "findings", "labs", "machines", "probes", "reports", "runs", "servers")
    for path in sorted((ROOT / room).rglob("*.py"))
]


def tasks() -> dict[str, set[str]]:
    """Every command with its options, as tasks.py declares them."""
    return {
        name: {flag for argument in COLLECTION[name].get_arguments() for flag in flags(argument.names)} | {"--help"}
        for name in COLLECTION.task_names
    } | {"test": {"--help", "--live", "--pure", "-k", "--durations"}}


def flags(names: tuple[str, ...]) -> list[str]:
    return [("--" if len(name) > 1 else "-") + name.replace("_", "-") for name in names]


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_command_exists_with_its_options(page: Path) -> None:
    known = tasks()
    for name, rest in COMMAND.findall(page.read_text()):
        assert name in known, f"{page.name}: there is no command {name}"
        own = rest.split(" -- ")[0]  # after it comes another program's line
        for option in re.findall(r"(?<=\s)--?[a-z][a-z-]*", own):
            assert option in known[name], f"{page.name}: {name} has no option {option}"


def said() -> str:
    """The code, with string literals that stand side by side as one."""
    text = "\n".join(path.read_text() for path in SOURCES)
    return squeezed(re.sub(r'"\s*\n?\s*f?"', "", text))


def squeezed(text: str) -> str:
    return " ".join(text.replace("invoke ", "./iolab ").split())


def symptoms(*pages: str) -> list[str]:
    """The messages that stand in code letters in a page's headings; `...` stands for what differs from case to case."""
    headings = re.findall(r"^### (`.*`)$", "\n".join((ROOT / "docs" / page).read_text() for page in pages), re.MULTILINE)
    return [symptom for heading in headings for symptom in re.findall(r"`([^`]*)`", heading)]


def pattern(symptom: str) -> str:
    return r".{0,80}?".join(re.escape(squeezed(piece)) for piece in symptom.split("...") if piece.strip())


def test_every_symptom_is_a_message_of_the_code() -> None:
    code = said()
    for symptom in symptoms("troubleshooting.md"):
        assert re.search(pattern(symptom), code), f"nothing in the code says: {symptom}"


def complaints() -> Iterator[tuple[str, str]]:
    """Every message of iolab's errors, and its file; `...` for each inserted value."""
    for path in SOURCES[1:]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"CannotTrace", "WrongUsage", "LabBroken"}:
                parts = node.args[0].values if isinstance(node.args[0], ast.JoinedStr) else node.args[:1]
                words = "".join(str(part.value) if isinstance(part, ast.Constant) else "..." for part in parts)
                if words != "...":
                    yield str(path.relative_to(ROOT)), words


def test_the_picture_in_the_readme_is_that_of_the_recording() -> None:
    file = io.StringIO()
    terminal.write(report(measure_and_check(load(DATA / "blocking.iolab"))), file, width=80)
    picture = file.getvalue().partition("one message of")[2].partition("\n\nsystem calls")[0]
    assert f"```\none message of{picture}\n```" in (ROOT / "README.md").read_text(), f"put this into README.md:\n{picture}"


def test_every_complaint_is_explained() -> None:
    known = [pattern(symptom) for symptom in symptoms("troubleshooting.md", "docker.md")]
    for place, words in complaints():
        explained = any(re.search(message, squeezed(words)) for message in known)
        assert explained, f"docs/troubleshooting.md: add a heading ### `{words}` ({place})"


PLACE = re.compile(r"`((?:probes|labs|servers|reports|tests)/[\w/]+\.(?:py|c|h))`(?:,[^:`\n]*)?(?::\s((?:`\w+`(?:,\s)?)+))?")


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_place_in_the_code_exists(page: Path) -> None:
    """`probes/kernel/fold.h`: `fold_in`, as docs/how-it-works.md names what stands behind a statement."""
    if page.name == "add-a-model.md":
        return  # it names files that it makes; its own test follows it
    for name, functions in PLACE.findall(page.read_text()):
        path = ROOT / name
        assert path.exists(), f"{page.name}: there is no {name}"
        for function in re.findall(r"`(\w+)`", functions):
            assert re.search(rf"\b{function}\b", path.read_text()), f"{page.name}: {name} has no {function}"


LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
