"""The project's words: what a user reads uses the field's terms, and a number has its noun's plural from one helper."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

ROOMS = ("commands", "findings", "labs", "machines", "probes", "reports", "runs", "servers")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PLURALS = ROOT / "probes" / "words.py"

# Each forbidden word, and what to say instead.
FORBIDDEN = {
    r"\btold\b": "notified (of a thread), reported (of a probe), announced (of an event)",
    r"\bin hand\b|\bin the program's hands\b": "returned to the program",
    r"\b(?:lay|lays|lies|lie|lain|lying) ready\b": "unread in the socket",
    r"\bin vain\b|\bfruitless": "without result",
    r"\bwhoever\b|\bhas it first\b": "name the task",
    r"\bhid(?:es|den)?\b[^.]*\bto us\b": "hid ... from us",
    r"\bcalls an? (?:answer|message)\b|\b(?:requests|EAGAIN|switches) an? (?:answer|message)\b": "per answer, per message",
    r"\bheard E[A-Z]+": "got EAGAIN",
    r"\bwished\b": "events=POLLIN, revents=POLLIN",
    r"\btaken out:": 'subtracted after "woken": ... (the probe\'s own work)',
    r"\bpart of kernel\b": "not measured; counted as kernel",
    r"\binv\[oke\]|--core-opts": "./iolab COMMAND [options]",
    r"\bcan this be trusted\b": "quality of this measurement",
    r"\bwhat this proves\b|\bwhat it proves\b": "statements checked",
    r"\bso does\b|\bnor does\b": "a whole statement with its subject",
    r"\bpay for its ceiling\b": "which clients must wait",
    r"\bnot here:|\bnothing to mend\b": "not available; no remedy on this kernel",
    r"\bby others to be followed\b": "refused ... attempts of other processes",
    r"\bcould be made\b": "a sentence with its subject: bpf() created a map",
    r"\bto know what tracing costs\b": "to measure the cost of tracing",
    r"\bprobes attached, by\b": "this kernel accepted ... of ... probes",
    r"\bwhat becomes of\b": "what happens to",
}
# Right where it stands: (file, the text around it).
ALLOWED = {("labs/terms.py", "told")}  # a key of recordings


def sources(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def sentences(path: Path) -> Iterator[tuple[int, str]]:
    """Every text in a source file, its docstrings too, without the values in f-strings."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a page outside blocks and words of code, one paragraph after the other."""
    text = re.sub(r"^```.*?^```", lambda block: "\n" * block[0].count("\n"), path.read_text(), flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"`[^`\n]*`", "", text)
    line = 1
    for paragraph in text.split("\n\n"):
        yield line, " ".join(paragraph.split())
        line += paragraph.count("\n") + 2


def complaints(place: str, texts: Iterator[tuple[int, str]]) -> list[str]:
    """Every forbidden word of these texts, with the words to use instead."""
    return [
        f'{place}:{line}: "{found[0]}"; say: {instead}'
        for line, text in texts
        for words, instead in FORBIDDEN.items()
        for found in re.finditer(words, text)
        if not any(place == file and around in text for file, around in ALLOWED)
    ]


@pytest.mark.parametrize("room", ROOMS)
def test_texts_use_the_words_of_the_field(room: str) -> None:
    found = [complaint for path in sources(room) for complaint in complaints(str(path.relative_to(ROOT)), sentences(path))]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_use_the_words_of_the_field(page: Path) -> None:
    found = complaints(page.name, prose(page))
    assert not found, "\n".join(found)


# Names without a meaning: a variable has the name of the thing that it holds (call, sleep, probe).
NAMELESS = {"one", "told", "given"}
RECORDED = {("labs/kit/asides.py", "told")}  # a key of recordings


def nameless(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every variable and parameter with such a name, every function with an old word in its name, and the line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in NAMELESS:
            yield node.lineno, node.id
        elif isinstance(node, ast.arg) and node.arg in NAMELESS:
            yield node.lineno, node.arg
        elif isinstance(node, ast.FunctionDef) and {"told", "whoever", "vain"} & set(node.name.split("_")):
            yield node.lineno, node.name


@pytest.mark.parametrize("room", (*ROOMS, "tests"))
def test_variables_have_the_name_of_the_thing(room: str) -> None:
    complaint = "name the thing that the variable holds, not"
    found = [
        f"{path.relative_to(ROOT)}:{line}: {complaint} {name}"
        for path in sources(room)
        for line, name in nameless(ast.parse(path.read_text()))
        if (str(path.relative_to(ROOT)), name) not in RECORDED
    ]
    assert not found, "\n".join(found)


def endings(tree: ast.AST) -> Iterator[int]:
    """The lines that make a plural by hand: "s" times something, or "s" where a condition holds."""
    for node in ast.walk(tree):
        parts: list[ast.expr] = []
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            parts = [node.left, node.right]
        elif isinstance(node, ast.IfExp):
            parts = [node.body, node.orelse]
        if any(isinstance(part, ast.Constant) and part.value in ("s", "es") for part in parts):
            yield node.lineno  # type: ignore[attr-defined]


@pytest.mark.parametrize("room", ROOMS)
def test_plurals_come_from_one_helper(room: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: use count() of probes/words.py"
        for path in sources(room)
        if path != PLURALS
        for line in endings(ast.parse(path.read_text()))
    ]
    assert not found, "\n".join(found)


def test_what_is_forbidden_is_found(tmp_path: Path) -> None:
    source = tmp_path / "reader.py"
    source.write_text('def f(n):\n    """The thread is told of it."""\n    return f"{n} calls an answer, data lay ready"\n')
    assert [complaint.split(": ")[1] for complaint in complaints("reader.py", sentences(source))] == [
        '"told"; say', '"lay ready"; say', '"calls an answer"; say',
    ]  # fmt: skip
    page = tmp_path / "page.md"
    page.write_text("# Title\n\n```\ntold = 1\n```\n\nThe data is\nin hand, and `told` is code.\n")
    assert [complaint.split(";")[0] for complaint in complaints("page.md", prose(page))] == ['page.md:7: "in hand"']
    assert list(nameless(ast.parse("def is_told(told): return [one for one in told]\ngiven = None"))) == [
        (1, "is_told"), (2, "given"), (1, "told"), (1, "one"),
    ]  # fmt: skip
    assert list(endings(ast.parse('x = "s" * (n > 1)\ny = "" if n == 1 else "es"\nz = "s" + x'))) == [1, 2]
