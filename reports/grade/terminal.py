"""A mark on the terminal: the faults with all that is known of them, then what is right, in one line each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from findings.pictures.moment import Moment
from probes.words import count
from reports.terminal import moment
from reports.terminal.screen import Screen, note, printing, section
from reports.words import with_command_name
from runs.grading.mark import Item, Mark, Mistake, Verdict

_MARKS = {
    Verdict.EARNED: ("ok", "green"),
    Verdict.LOST: ("FAULT", "bold red"),
    Verdict.NOT_SHOWN: ("?", "yellow"),
    Verdict.INCONCLUSIVE: ("?", "yellow"),
}
_INDENT = 8  # of what belongs to a fault
_LAST_LINES = 6  # of the server's output, where it never listened


def write(mark: Mark, file: IO[str], points: bool, width: int | None = None, explained: bool = False) -> None:
    """The page. With `points` each criterion has its points (grade); without, it is met or not (check).

    `explained`: what is right has its evidence, too.
    """
    with printing(file, width) as out:
        out.print(Text(_title(mark, points), style="bold"))
        out.print(
            Text(f"{' '.join(mark.command)}   protocol {mark.protocol}, seed {mark.seed}, {mark.seconds:.1f} s", style="dim")
        )
        if mark.broken:
            out.print(Text(f"not marked: {mark.broken}", style="bold red"))
        if mark.lost:
            section(out, count(sum(item.tried for item in mark.lost), "fault"))
            for item in mark.lost:
                if item.tried:
                    _fault(out, item, points)
            _rest(out, "not tried, because of a fault above", [item for item in mark.lost if not item.tried], points)
        if mark.mistakes:
            section(out, "also seen, without points" if points else "also seen")
        for mistake in mark.mistakes:
            _mistake(out, mistake)
        _rest(out, "not shown", [item for item in mark.items if not item.counts], points, evidence=True)
        _rest(out, "right", [item for item in mark.items if item.verdict is Verdict.EARNED], points, explained)
        _notes(out, mark)


def _title(mark: Mark, points: bool) -> str:
    name = f"{mark.name}: " if mark.name else ""
    met = sum(1 for item in mark.items if item.verdict is Verdict.EARNED)
    judged = sum(1 for item in mark.items if item.counts)
    if points:
        return f"{name}{mark.points} of {mark.of} points, model {mark.model}"
    return f"{name}model {mark.model}: {met} of {judged} checks are met"


def _mistake(out: Screen, mistake: Mistake) -> None:
    out.print(Text(mistake.statement, style="bold"))
    _details(out, [("seen", mistake.seen), ("when", mistake.moment)])
    _picture(out, mistake.picture)
    _details(out, [("remedy", mistake.remedy), ("lab", _lab(mistake.lab))])


def _lab(name: str) -> str:
    return with_command_name(f"invoke lab {name}") if name else ""


def _details(out: Screen, rows: Sequence[tuple[str, str]]) -> None:
    grid = _grid(7)
    for name, words in rows:
        if words:
            grid.add_row(Text(name, style="dim"), Text(words))
    if grid.row_count:
        out.print(Padding(grid, (0, 0, 0, _INDENT)))


def _fault(out: Screen, item: Item, points: bool) -> None:
    label = f"{item.points}/{item.of}" if points else _MARKS[item.verdict][0]
    grid = _grid(8)
    grid.add_row(Text(label, style=_MARKS[item.verdict][1]), Text(item.criterion.statement, style="bold"))
    out.print(grid)
    explain(out, item)


def explain(out: Screen, item: Item) -> None:
    """What is known of a fault: what was seen, the moment as a picture, and what to do."""
    _details(out, [("seen", item.seen), *(("kernel", words) for words in item.diagnosed), ("when", item.moment)])
    _picture(out, item.picture)
    _details(out, [("remedy", item.remedy), ("lab", _lab(item.lab))])


def _picture(out: Screen, picture: Moment | None) -> None:
    """The moment of the fault, as wide as the screen."""
    if picture is None:
        return
    out.print()
    for line in moment.draw(picture, out.width - _INDENT, out.plain):
        out.print(Padding(line, (0, 0, 0, _INDENT)), no_wrap=True, overflow="crop")
    out.print()


def _rest(out: Screen, title: str, items: Sequence[Item], points: bool, evidence: bool = False) -> None:
    if not items:
        return
    section(out, title)
    grid = _grid(8)
    for item in items:
        label = f"{item.points}/{item.of}" if points and item.counts else _MARKS[item.verdict][0] if item.tried else "-"
        words = Text(item.criterion.statement)
        if evidence:
            words.append(f": {item.seen}", style="dim")
        grid.add_row(Text(label, style=_MARKS[item.verdict][1]), words)
    out.print(grid)


def _notes(out: Screen, mark: Mark) -> None:
    lines = mark.output.splitlines()
    if mark.items and mark.items[0].verdict is Verdict.LOST and lines:
        section(out, "the last lines that the server printed")
        for line in lines[-_LAST_LINES:]:
            out.print(Text(line))
    if mark.notes:
        out.print()
    for words in mark.notes:
        note(out, f"note: {words}")


def _grid(first: int) -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=first - 1, no_wrap=True)
    grid.add_column(ratio=1)
    return grid
