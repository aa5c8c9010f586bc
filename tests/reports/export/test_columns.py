"""Columns of a table: numbers that SQLite can hold, and text without unprintable characters."""

from __future__ import annotations

from reports.export.columns import Table, number, text


def test_a_number_of_64_bits_without_a_sign_is_held_with_one() -> None:
    column = number("address", lambda row: row)
    assert (column.type, column.value(7), column.value(2**64 - 1)) == ("INTEGER", 7, -1)
    assert column.value(0.5) == 0.5 and column.value(None) is None


def test_text_has_no_control_character_and_an_empty_text_is_null() -> None:
    column = text("name", lambda row: row)
    assert "\x1b" not in str(column.value("a\x1b[2J"))
    assert (column.value("epoll"), column.value(""), column.value(None)) == ("epoll", None, None)


def test_the_rows_of_a_table_are_made_one_by_one() -> None:
    source = iter((1, 2, 3))
    rows = Table("squares", (number("square", lambda row: row * row),), source).rows
    assert next(rows) == (1,) and next(source) == 2
    assert list(rows) == [(9,)]
