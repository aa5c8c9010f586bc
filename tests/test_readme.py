"""README.md names every lab and every command, and no command that does not exist."""

from __future__ import annotations

import re

import pytest

import labs
from tests.conftest import ROOT, iolab

README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", labs.names())
def test_every_lab_is_named(name: str) -> None:
    assert f"`{name}`" in README, f"README.md: add `{name}` to the table of labs"


def test_every_command_is_explained_and_exists() -> None:
    there = set(re.findall(r"^  ([\w-]+) ", iolab("--list").stdout, re.MULTILINE))
    named = set(re.findall(r"`\./iolab ([\w-]+)", README))
    assert named == there
