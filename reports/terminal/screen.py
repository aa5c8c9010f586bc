"""Where a report is printed: its width, its colours, and the parts that every page is made of.

A page is 60 columns wide at least. A table that does not fit becomes a list, so that no figure and no word is cut.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Literal

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from probes.words import visible_lines

NARROWEST, USUAL = 60, 80
_HEIGHT = 25  # lines; no page depends on it
_PADDING = (0, 1)  # of the cells of a table, but not at its edges


class Screen(Console):
    """A console that prints no control character but its own: what programs put into their names reaches no terminal."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of a renderable, their text made visible."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment(visible_lines(segment.text), segment.style)

    @property
    def plain(self) -> bool:
        """Can only ASCII be shown?"""
        return not self.encoding.lower().startswith("utf")


def screen(file: IO[str], width: int | None = None) -> Screen:
    """The real width and colours on a terminal; elsewhere COLUMNS or 80, without colours."""
    if width is None:
        width = shutil.get_terminal_size().columns if file.isatty() else _columns()
    # a console without a height asks the system for its size at every step of every table
    return Screen(
        file=file, width=max(width, NARROWEST), height=_HEIGHT, highlight=False, soft_wrap=False, emoji=False, markup=False
    )


def _columns() -> int:
    """COLUMNS, as a pager or a script may set it; else 80."""
    wanted = os.environ.get("COLUMNS", "")
    return int(wanted) if wanted.isdigit() else USUAL


@contextlib.contextmanager
def printing(file: IO[str], width: int | None = None) -> Iterator[Screen]:
    """A screen into a terminal, a pipe or a file; elsewhere than on a terminal no line ends in blanks."""
    if file.isatty():
        yield screen(file, width)
        return
    encoding = getattr(file, "encoding", None) or "utf-8"
    buffer = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="backslashreplace", newline="")
    out = screen(buffer, width)
    with out:  # writes at the end, not after each print
        yield out
    buffer.flush()
    text = buffer.buffer.getvalue().decode(encoding)
    file.write("".join(line.rstrip() + "\n" for line in text.split("\n")[:-1]))


def section(out: Screen, title: str, gap: bool = True) -> None:
    """The heading of a section, with a line to the edge; `gap`: with an empty line before it."""
    if gap:
        out.print()
    out.rule(Text(title, style="bold"), align="left", style="dim", characters="-" if out.plain else "─")


def note(out: Screen, words: str, style: str = "dim") -> None:
    """A sentence below a table."""
    out.print(Text(words, style=style))


@dataclass(frozen=True)
class Column:
    """One column of figures. A newline in the title makes it two lines high; `wraps`: its cells may have several lines."""

    title: str
    style: str = ""
    left: bool = False
    wraps: bool = False


Cell = str | Text


def figures(out: Screen, first: str, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> None:
    """A table with a name in each row's first cell; a list of the rows where the table is wider than the screen."""
    texts = [list(map(_text, row)) for row in rows]
    wraps = any(column.wraps for column in columns)
    every = [Column(first, left=True, wraps=wraps), *columns]
    cells = ([Text(column.title), *(row[index] for row in texts)] for index, column in enumerate(every))
    narrowest = [_narrowest(of_column, column.wraps) for column, of_column in zip(every, cells, strict=True)]
    if sum(narrowest) + 2 * _PADDING[1] * len(columns) > out.width:
        _list(out, columns, texts)
    elif wraps:
        out.print(_wrapping(every, narrowest, texts))
    else:
        out.print(_aligned(every, narrowest, texts))


def _wrapping(columns: Sequence[Column], narrowest: Sequence[int], rows: Iterable[Sequence[Text]]) -> Table:
    """A table some of whose cells have as many lines as they need."""
    table = Table(box=None, padding=_PADDING, pad_edge=False, header_style="bold")
    for column, width in zip(columns, narrowest, strict=True):
        justify: Literal["left", "right"] = "left" if column.left else "right"
        table.add_column(column.title, justify=justify, no_wrap=not column.wraps, style=column.style or None, min_width=width)
    for row in rows:
        table.add_row(*row)
    return table


def _aligned(columns: Sequence[Column], widths: Sequence[int], rows: Iterable[Sequence[Text]]) -> Text:
    """A table whose cells are never wrapped, as one text: rich's Table takes 10 times as long for the same lines."""
    table = Text(no_wrap=True, overflow="ignore")
    for line in _lines([Text(column.title, style="bold") for column in columns], at_bottom=True):
        _append(table, line, columns, widths)
    for row in rows:
        for line in _lines([Text.assemble(cell, style=column.style) for cell, column in zip(row, columns, strict=True)]):
            _append(table, line, columns, widths)
    return table


def _lines(row: Sequence[Text], at_bottom: bool = False) -> Iterator[Sequence[Text]]:
    """The lines of a row, each with a part of every cell; a cell with fewer lines than others is at the top or the bottom."""
    height = 1 + max(cell.plain.count("\n") for cell in row)
    if height == 1:
        yield row
        return
    parts = [list(cell.split("\n", allow_blank=True)) for cell in row]
    empty = [[Text()] * (height - len(lines)) for lines in parts]
    yield from zip(*(gap + lines if at_bottom else lines + gap for lines, gap in zip(parts, empty, strict=True)), strict=True)


def _append(table: Text, line: Sequence[Text], columns: Sequence[Column], widths: Sequence[int]) -> None:
    for index, (cell, column, width) in enumerate(zip(line, columns, widths, strict=True)):
        blanks = " " * (width - cell_len(cell.plain))
        table.append("  " if index else "\n" if table else "")
        table.append_text(Text.assemble(cell, blanks) if column.left else Text.assemble(blanks, cell))


def _narrowest(cells: Iterable[Text], wraps: bool) -> int:
    """The columns that a column needs such that no figure and no word of it is cut."""
    return max(cell_len(part) for cell in cells for part in (cell.plain.split() if wraps else cell.plain.split("\n")) or [""])


def _text(cell: Cell) -> Text:
    return Text(cell) if isinstance(cell, str) else cell


def _list(out: Screen, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> None:
    """Each row as a name and, in the next line, its figures with their titles; figures that are not there are left out."""
    for name, *cells in rows:
        out.print(_text(name), style="bold")
        line = Text()
        for column, cell in zip(columns, map(_text, cells), strict=True):
            if cell.plain not in ("-", ""):
                line.append(", " if line else "")
                line.append(f"{column.title.replace(chr(10), ' ')}: ", style=column.style or None)
                line.append_text(Text(cell.plain, style=cell.style or column.style))
        out.print(indented(line))


@dataclass(frozen=True)
class _Beside:
    """A paragraph, and to its left other words in a column of that width: a table with fewer steps than rich's."""

    left: Text
    words: Text
    width: int
    gap: int
    right: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterable[Segment]:
        column = self.left.wrap(console, self.width) if self.left else [Text()]
        rest = max(options.max_width - self.width - self.gap, 1)
        lines = []
        for left, words in itertools.zip_longest(column, self.words.wrap(console, rest, overflow="fold"), fillvalue=Text()):
            blanks = " " * (self.width - cell_len(left.plain))
            lines.append(Text.assemble(*((blanks, left) if self.right else (left, blanks)), " " * self.gap, words))
        return Text("\n").join(lines).render(console, end="\n")


def indented(words: Text, by: int = 2) -> RenderableType:
    """A paragraph, all of it indented."""
    return _Beside(Text(), words, 0, by)


def pairs(out: Screen, rows: Iterable[tuple[str | Text, str | Text]], width: int, right: bool = False) -> None:
    """Short words on the left, in a column of that width, and a paragraph beside each."""
    for left, words in rows:
        out.print(_Beside(_text(left), _text(words), width, 2, right))
