"""The arrows between the rooms, from the code's own imports: each room imports only what stands before it. Short functions."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.conftest import ROOT

# A room may import the rooms named with it, and itself. The order is the way of the data.
MAY_IMPORT = {
    "servers": set[str](),
    "probes": {"probes/kernel"},  # errors, files, and the recording with the layouts of its records
    "probes/kernel": {"probes"},
    "probes/capture": {"probes", "probes/kernel"},
    "probes/measure": {"probes", "probes/kernel"},
    "findings": {"probes", "probes/kernel", "probes/measure"},
    "labs": {"probes", "probes/kernel", "probes/measure", "findings", "servers"},
    "runs": {"probes", "probes/kernel", "probes/capture", "probes/measure", "findings", "labs", "servers"},
    "machines": {"probes", "probes/kernel", "probes/capture", "probes/measure", "findings", "labs", "runs"},
    "reports": {"probes", "probes/kernel", "probes/measure", "findings", "runs", "machines"},
    "commands": {
        "probes", "probes/capture", "probes/measure", "findings", "labs", "runs", "machines", "reports", "servers",
    },
    "tasks.py": {"commands", "probes", "reports"},  # the errors, and the words of a command's name
}  # fmt: skip
ONLY_IN = {"bcc": "probes/capture", "invoke": "tasks.py"}  # libraries that one room alone may know


def room_of(path: Path) -> str:
    """The room of a source file."""
    parts = path.relative_to(ROOT).parts
    if parts[0] == "probes":
        return "/".join(parts[:2]) if len(parts) > 2 else "probes"
    return parts[0]


def room_of_module(module: str) -> str | None:
    """The room that an imported name belongs to; None for a library."""
    parts = module.split(".")
    if parts[0] == "probes":
        return f"probes/{parts[1]}" if len(parts) > 1 and (ROOT / "probes" / parts[1]).is_dir() else "probes"
    return parts[0] if parts[0] in MAY_IMPORT else None


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Every module that a file imports, at the top or inside a function, with the line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def sources() -> list[Path]:
    """Every file of the rooms."""
    found = [ROOT / "tasks.py"]
    for room in {room.split("/")[0] for room in MAY_IMPORT} - {"tasks.py"}:
        found += (ROOT / room).rglob("*.py")
    return sorted(found)


def module_of(path: Path) -> str:
    """The name by which other files import this file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_files(paths: list[Path]) -> dict[str, set[str]]:
    """For each of these files, the files among them that it imports. An import for types alone (TYPE_CHECKING) counts, too."""
    known = {module_of(path) for path in paths}
    files = {}
    for path in paths:
        file = module_of(path)
        names = {other for _, name in imports(path) for other in _executed(name, file)}
        files[file] = names & known - {file}
    return files


def _executed(name: str, by: str) -> Iterator[str]:
    """The files that an import of this name executes: its own, and the first file of each package without `by` in it."""
    while name:
        if not f"{by}.".startswith(f"{name}."):
            yield name
        name = name.rpartition(".")[0]


def circles(imported: Mapping[str, set[str]]) -> list[set[str]]:
    """The groups of files in which each file imports all others of the group, directly or through other files."""
    left = {file: set(others) for file, others in imported.items()}
    while removed := {file for file, others in left.items() if not others & left.keys()}:
        left = {file: others for file, others in left.items() if file not in removed}
    reached = {file: _reached(file, left) for file in left}
    groups = {frozenset(other for other in reached[file] if file in reached[other]) for file in left}
    return sorted(map(set, filter(None, groups)), key=sorted)


def _reached(file: str, imported: Mapping[str, set[str]]) -> set[str]:
    """All files that a file imports, directly or through other files."""
    found: set[str] = set()
    waiting = [file]
    while waiting:
        new = imported.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return {other for other in found if other in imported}


MOST_LINES = 40  # of a function, with its documentation
# Read from top to bottom, beside others of their kind: the loop of a server, and the experiment of a lab.
WHOLE = {"servers": "a server's loop", "labs": "an experiment"}


def long_functions(path: Path) -> Iterator[tuple[str, int]]:
    """The functions of a file that have too many lines, with their lines."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            if lines > MOST_LINES:
                yield node.name, lines


def test_a_function_of_more_than_40_lines_is_two() -> None:
    """A server's file and a lab's are left out, and no other file of their rooms (servers/kit, labs/kit)."""
    found = []
    for path in sources():
        place = path.relative_to(ROOT)
        if place.parts[0] in WHOLE and place.parts[1] != "kit":
            continue
        found += [f"{place}: {name} has {lines} lines" for name, lines in long_functions(path)]
    assert not found


def test_a_long_function_is_seen(tmp_path: Path) -> None:
    source = tmp_path / "long.py"
    source.write_text(
        "class C:\n    def short(self):\n" + "        pass\n" * 39 + "    async def long(self):\n" + "        pass\n" * 40
    )
    assert list(long_functions(source)) == [("long", 41)]


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_import_goes_against_the_arrows(path: Path) -> None:
    room = room_of(path)
    for line, module in imports(path):
        other = room_of_module(module)
        allowed = other is None or other == room or other in MAY_IMPORT[room]
        assert allowed, f"{path.relative_to(ROOT)}:{line} imports {module}: {room} may not know {other}"
        owner = ONLY_IN.get(module.split(".")[0])
        assert owner in (None, room), f"{path.relative_to(ROOT)}:{line} imports {module}: only {owner} may"


def test_an_import_against_the_arrows_is_seen(tmp_path: Path) -> None:
    source = tmp_path / "reader.py"
    source.write_text("import bcc\n\ndef f():\n    from probes.capture import ring\n    from runs.lab import record\n")
    assert [(line, room_of_module(module)) for line, module in imports(source)] == [
        (1, None), (4, "probes/capture"), (5, "runs"),
    ]  # fmt: skip
    assert not {"probes/capture", "runs"} & MAY_IMPORT["probes/measure"]


def test_no_two_files_import_each_other() -> None:
    """What two files share is in a third file below both."""
    assert circles(imported_files(sources())) == []


def test_a_circle_is_seen() -> None:
    imported = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set[str](), "e": {"a"}, "f": {"g"}, "g": {"f", "a"}}
    assert circles(imported) == [{"a", "b", "c"}, {"f", "g"}]
    assert circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_an_import_for_types_alone_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.test_rooms.ROOT", tmp_path)
    (tmp_path / "room").mkdir()
    lower, upper = tmp_path / "room" / "lower.py", tmp_path / "room" / "upper.py"
    lower.write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from room.upper import Whole\n")
    upper.write_text("def f():\n    from room import lower\n")
    assert circles(imported_files([lower, upper])) == [{"room.lower", "room.upper"}]


def test_an_import_from_a_package_executes_its_first_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.test_rooms.ROOT", tmp_path)
    models = tmp_path / "room" / "models"
    models.mkdir(parents=True)
    view, first, words = tmp_path / "room" / "view.py", models / "__init__.py", models / "words.py"
    view.write_text("from room.models.words import WORDS\n")
    first.write_text("from room.models.words import WORDS\nfrom room import view\n")
    words.write_text("WORDS = ()\n")
    assert circles(imported_files([view, first, words])) == [{"room.models", "room.view"}]
