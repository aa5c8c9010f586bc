"""The arrows between the rooms, from the code's own imports: each room imports only what stands before it. Short functions."""

from __future__ import annotations

import ast
from collections.abc import Iterator
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
    found = [ROOT / "tasks.py"]
    for room in {room.split("/")[0] for room in MAY_IMPORT} - {"tasks.py"}:
        found += (ROOT / room).rglob("*.py")
    return sorted(found)


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
