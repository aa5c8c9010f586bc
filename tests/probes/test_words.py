"""The words' helpers: no control character gets through, and what can be read stays as it is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from probes.words import visible, visible_lines


@given(st.text())
def test_nothing_unprintable_is_left(text: str) -> None:
    assert visible(text).isprintable()
    assert all(line.isprintable() for line in visible_lines(text).split("\n"))
    assert visible_lines(text).count("\n") == text.count("\n")


@given(st.text(st.characters(categories=("L", "N", "P", "S"))))
def test_what_can_be_read_is_not_changed(text: str) -> None:
    assert visible(text) == text


def test_bytes_that_are_no_text_are_shown_as_escapes() -> None:
    argument = b"\xff\x9b31m\x07".decode(errors="surrogateescape")
    assert visible(argument) == r"\udcff\udc9b31m\x07"
