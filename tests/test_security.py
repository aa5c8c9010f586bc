"""docs/security.md: each of its statements names tests, and each named test exists."""

from __future__ import annotations

import ast
import re

import pytest

from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text()
STATEMENTS = [statement.split("\n\n")[0] for statement in re.split(r"^\* ", PAGE, flags=re.MULTILINE)[1:]]
CITED = re.compile(r"`(tests/[\w/]+\.py)`:((?:\s+`test_\w+`,?)+)")


def defined(path: str) -> set[str]:
    return {node.name for node in ast.walk(ast.parse((ROOT / path).read_text())) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: statement.split("`tests/")[0][:40].strip())
def test_every_statement_names_tests_that_exist(statement: str) -> None:
    cited = CITED.findall(statement)
    assert cited, f"name the test of this statement: {statement}"
    for path, names in cited:
        missing = set(re.findall(r"`(test_\w+)`", names)) - defined(path)
        assert not missing, f"{path} has no {missing}"
    left = CITED.sub("", statement)
    assert "`test" not in left, f"a test is not named as `tests/FILE.py`: `test_NAME`, ...: {left}"


def test_the_page_has_its_sections() -> None:
    assert re.findall(r"^## (.*)$", PAGE, re.MULTILINE) == [
        "What iolab trusts",
        "What iolab does as root, and why",
        "What a traced program can and can't do",
        "What a folder's owner can and can't do",
    ]
    assert len(STATEMENTS) == PAGE.count("\n* ")
