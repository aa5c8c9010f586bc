"""The hostile submissions: programs that Python compiles, each with something that no server of a course does."""

from __future__ import annotations

import ast

import pytest

from machines.hostile import PROGRAMS


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_is_a_program_of_its_own(name: str) -> None:
    ast.parse(PROGRAMS[name])
    assert sum(text == PROGRAMS[name] for text in PROGRAMS.values()) == 1
