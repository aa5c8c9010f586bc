"""Tables for exports. A table has rows; each column takes its value from a row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from probes.words import visible
from reports.export.bits import signed

Value = int | float | str | None
T = TypeVar("T")


class Column(NamedTuple, Generic[T]):
    """One column: its name, its type in SQL, and the function that takes its value from a row."""

    name: str
    type: str
    value: Callable[[T], Value]


@dataclass(frozen=True)
class Table:
    """One table with its rows."""

    name: str
    columns: tuple[Column[Any], ...]
    source: Iterable[Any]

    @property
    def rows(self) -> Iterator[tuple[Value, ...]]:
        """The rows, made one by one."""
        for row in self.source:
            yield tuple(column.value(row) for column in self.columns)


def number(name: str, value: Callable[[T], int | float | None]) -> Column[T]:
    """A column of numbers, which SQLite holds in 64 bits with a sign."""

    def held(row: T) -> Value:
        found = value(row)
        return signed(found) if isinstance(found, int) else found

    return Column(name, "INTEGER", held)


def text(name: str, value: Callable[[T], str | None]) -> Column[T]:
    """A column of text: unprintable characters are escapes, and an empty text is None."""
    return Column(name, "TEXT", lambda row: visible(value(row) or "") or None)
