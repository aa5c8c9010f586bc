"""Where a report is printed: its width, its colours, and the parts that every page is made of.

A page is 60 columns wide at least. A table that does not fit becomes a list, so that no figure and no word is cut.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Literal

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.padding import Padding
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
    yield screen(buffer, width)
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
    table = Table(box=None, padding=_PADDING, pad_edge=False, header_style="bold")
    wraps = any(column.wraps for column in columns)
    taken = 2 * _PADDING[1] * len(columns)
    for index, column in enumerate([Column(first, left=True, wraps=wraps), *columns]):
        justify: Literal["left", "right"] = "left" if column.left else "right"
        narrowest = _narrowest([Text(column.title), *(row[index] for row in texts)], column.wraps)
        taken += narrowest
        fixed = None if wraps else narrowest  # with a width of its own, rich measures no cell of the column
        table.add_column(
            column.title,
            justify=justify,
            no_wrap=not column.wraps,
            style=column.style or None,
            min_width=narrowest,
            width=fixed,
        )
    if taken > out.width:
        _list(out, columns, texts)
        return
    for row in texts:
        table.add_row(*row)
    out.print(table)


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


def indented(words: Text, by: int = 2) -> Padding:
    """A paragraph, all of it indented."""
    return Padding(words, (0, 0, 0, by))


def pairs(out: Screen, rows: Iterable[tuple[str | Text, str | Text]], width: int, right: bool = False) -> None:
    """Short words on the left, in a column of that width, and a paragraph beside each."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=width, justify="right" if right else "left")
    grid.add_column(overflow="fold")
    for left, words in rows:
        grid.add_row(left, words)
    out.print(grid)
