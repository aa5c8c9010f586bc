"""The list of labs: the same from `labs` and from `lab` without a name, and no line longer than a narrow terminal."""

from __future__ import annotations

import json

import pytest

import labs
from tests.conftest import iolab


def test_lab_without_a_name_lists_the_labs() -> None:
    listed = iolab("lab")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert listed.stdout == iolab("labs").stdout
    assert all(name in listed.stdout.split() for name in labs.names())


def test_the_json_document_has_every_lab_once() -> None:
    document = json.loads(iolab("labs", "--json").stdout)
    names = [entry["name"] for entry in document["labs"]]
    assert sorted(names) == sorted(labs.names())


@pytest.mark.parametrize("columns", [60, 80])
def test_no_line_is_longer_than_the_screen_and_no_word_is_broken(columns: int) -> None:
    text = iolab("labs", COLUMNS=str(columns)).stdout
    assert max(map(len, text.splitlines())) <= columns
    words = {word for name in labs.names() for word in labs.find(name).question.split()}
    assert words <= set(text.split())
