"""The recordings that a class handed in: a table, CSV, JSON, and what was verified of each file."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from rich.table import Table
from rich.text import Text

from probes import VERSION, seal
from probes.words import count, visible
from reports.grade.table import safe
from reports.terminal.screen import note, printing, section
from runs.marks import Flag, HandedIn

SCHEMA = 1
_COLUMNS = ("file", "student", "lab", "seed", "points", "of", "verdict", "flags", "at", "machine", "boot", "iolab", "seal")
_DOUBTS = 2  # columns of the list of others: more names are counted
VERIFIED = (
    "the seal: SHA-256 over all chunks; an edit that leaves the old seal is found",
    "the answers: marked again by the records, with the questions of the seed; no stored mark is read",
    "the checks of the lab: judged again by the records; no stored verdict is read",
    "the times: the sleeps and calls must add up, to the nanosecond, to the sums that the kernel side kept",
    "the order: the answers must have an earlier time than the first record",
    "the other files: the same run under another name or with other answers, where at least half of its times agree",
)
FORGEABLE = (
    "the seal: it has no key; a person who edits a file with iolab's own code can seal it again",
    "the answers: after the run, a file can be written with the right answers and a new seal",
    "the name, the login, the host and the time: a root user can set each of them",
    "the records: a root user can change the kernel, or iolab, before the run, or write records that add up",
)
ADVICE = (
    "a seal that the instructor wrote down when the run ended shows every later edit; for marks that must be proof, grade the"
    " code: invoke grade"
)


def write(found: Sequence[HandedIn], others: Sequence[Path], file: IO[str], width: int | None = None) -> None:
    """A line for each file: the student, the points, and the remarks."""
    with printing(file, width) as out:
        flagged = sum(bool(each.remarks) for each in found)
        out.print(Text(f"{count(len(found), 'recording')}, {flagged} with remarks", style="bold"))
        section(out, "recordings")
        table = Table(box=None, padding=(0, 1), show_edge=False)
        for column in ("student", "file"):
            table.add_column(column, overflow="fold", max_width=20)
        table.add_column("points", justify="right", no_wrap=True)
        table.add_column("remarks", overflow="fold", ratio=1)
        for each in found:
            points = "-" if each.points is None else f"{each.points}/{each.of}"
            words = "; ".join(f"{remark.flag}: {remark.words}" for remark in each.remarks) or "none"
            style = "yellow" if each.undecided else "red" if each.remarks else "green"
            table.add_row(Text(each.student), Text(each.file), Text(points, style=style), Text(words))
        out.print(table)
        if others:
            names = ", ".join(path.name for path in others[:_DOUBTS])
            more = f" and {len(others) - _DOUBTS} more" if len(others) > _DOUBTS else ""
            out.print()
            note(out, f"not recordings: {names}{more}")


def write_verified(found: Sequence[HandedIn], file: IO[str], width: int | None = None) -> None:
    """What was verified of each file, and what a student with root could still forge."""
    from reports.words import with_command_name

    with printing(file, width) as out:
        for each in found:
            section(out, each.file, gap=each is not found[0])
            out.print(Text(each.sentence))
            for name, words in _facts(each):
                out.print(Text(f"  {name:<9}{words}"))
        for title, lines in (("what was verified", VERIFIED), ("what a student with root could still forge", FORGEABLE)):
            section(out, title)
            table = Table.grid(padding=(0, 1))
            for line in lines:
                table.add_row("*", Text(line))
            out.print(table)
        out.print()
        note(out, with_command_name(ADVICE))


def _facts(each: HandedIn) -> list[tuple[str, str]]:
    words = {
        "student": each.student,
        "when": each.at,
        "machine": each.machine,
        "boot": each.boot,
        "iolab": each.version,
        "lab": each.lab,
        "seed": "" if each.seed is None else str(each.seed),
        "verdict": each.verdict,
        "seal": _seal(each),
    }
    return [(name, text) for name, text in words.items() if text] if Flag.BROKEN not in each.flags else []


def _seal(each: HandedIn) -> str:
    """The digits of a whole seal; else what is wrong with it."""
    return each.seal if each.sealed is seal.State.WHOLE else str(each.sealed)


def write_csv(found: Sequence[HandedIn], file: IO[str]) -> None:
    """A line for each file."""
    lines = csv.writer(file, lineterminator="\n")
    lines.writerow([*_COLUMNS, "sentence"])
    for each in found:
        row = _row(each)
        lines.writerow([safe(str(value)) if isinstance(value, str) else value for value in row.values()])


def write_json(found: Sequence[HandedIn], file: IO[str]) -> None:
    """One document."""
    rows = [_row(each) | {"flags": list(map(str, each.flags))} for each in found]
    words = {"schema_version": SCHEMA, "iolab": VERSION, "marks": rows, "verified": VERIFIED, "forgeable": FORGEABLE}
    json.dump(words, file, indent=2, ensure_ascii=False)
    file.write("\n")


def _row(each: HandedIn) -> dict[str, Any]:
    values = (
        each.file, each.student, each.lab, each.seed, each.points, each.of, each.verdict, ", ".join(each.flags), each.at,
        each.machine, each.boot, each.version, _seal(each), each.sentence,
    )  # fmt: skip
    row = zip((*_COLUMNS, "sentence"), values, strict=True)
    return {name: visible(value) if isinstance(value, str) else value for name, value in row}
