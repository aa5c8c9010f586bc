"""The lists: labs, and what doctor found."""

from __future__ import annotations

import io
import json as codec
from collections.abc import Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from labs.claims import CLAIMS
from labs.kit.lab import CHAPTERS
from probes.capture.capabilities import can_trace
from probes.capture.privileges import Finding, State
from probes.measure.result import Check
from reports.terminal import VERDICT_STYLE, console

if TYPE_CHECKING:
    from labs.kit.lab import Lab

_STATE_STYLE = {State.YES: "green", State.LIMITED: "yellow", State.NO: "bold red", State.INFO: "dim"}


def _print(table: Table | Text, file: IO[str]) -> None:
    if file.isatty():
        console(file).print(table)
        return
    buffer = io.StringIO()
    console(buffer).print(table)
    file.write("".join(line.rstrip() + "\n" for line in buffer.getvalue().splitlines()))


def write_labs(labs: Sequence[tuple[str, Lab]], file: IO[str], json: bool = False) -> None:
    """Every lab with its question."""
    if json:
        rows = [
            {
                "name": name,
                "chapter": lab.chapter,
                "model": lab.model,
                "question": lab.question,
                "claims": lab.claims,
                "checks": [c[0] for c in lab.checks],
            }
            for name, lab in labs
        ]
        codec.dump({"schema_version": 1, "labs": rows}, file, indent=1)
        file.write("\n")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for chapter in CHAPTERS:
        table.add_row("", Text(chapter, style="bold underline"))
        for name, lab in labs:
            if lab.chapter == chapter:
                table.add_row(name, Text.assemble(lab.question, ("  " + " ".join(lab.claims), "dim")))
    _print(table, file)


def write_claims(
    labs: Sequence[tuple[str, Lab]],
    compared: Sequence[tuple[str, tuple[str, ...], Any]],
    file: IO[str],
    json: bool = False,
    judged: dict[str, dict[str, Check]] | None = None,
) -> None:
    """Every claim with the checks that stand for it, in labs and in the comparison (`compared`); where they have just run,
    with their verdicts (lab -> check).
    """
    judged = judged or {}
    checks = [(name, check, ids) for name, lab in labs for check, ids, _ in lab.checks]
    checks += [("compare", check, ids) for check, ids, _ in compared]
    standing = {one: [(name, check) for name, check, ids in checks if one in ids] for one in CLAIMS}
    if json:
        rows = [
            {
                "id": one.id,
                "chapter": one.chapter,
                "claim": one.text,
                "checks": [
                    {"lab": lab, "name": check}
                    | ({"verdict": judged[lab][check].verdict, "evidence": judged[lab][check].evidence} if judged else {})
                    for lab, check in standing[one.id]
                ],
            }
            for one in CLAIMS.values()
        ]
        codec.dump({"schema_version": 1, "claims": rows}, file, indent=1)
        file.write("\n")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    chapter = ""
    for one in CLAIMS.values():
        if one.chapter != chapter:
            chapter = one.chapter
            table.add_row("", Text(chapter, style="bold underline"))
        words = Text(one.text)
        for lab, check in standing[one.id]:
            if judged:
                found = judged[lab][check]
                words.append(f"\n{found.verdict}: {found.evidence} ({_place(lab)})", style=VERDICT_STYLE[found.verdict])
            else:
                words.append(f"\n{_place(lab)}: {check}", style="green")
        if not standing[one.id]:
            words.append("\nno lab shows it yet", style="dim")
        table.add_row(one.id, words)
    _print(table, file)


def _place(lab: str) -> str:
    return lab if lab == "compare" else f"lab {lab}"


def write_doctor(findings: Sequence[Finding], labs: Mapping[str, str | None], file: IO[str], json: bool = False) -> None:
    """Every capability with its remedy, and which labs run here; `labs` has for each what this machine lacks for it."""
    able = can_trace(list(findings))
    here = [name for name, lack in labs.items() if lack is None]
    if json:
        rows = [{"name": f.name, "state": f.state, "found": f.found, "remedy": f.remedy} for f in findings]
        codec.dump({"schema_version": 1, "can_trace": able, "capabilities": rows, "labs": here if able else []}, file, indent=1)
        file.write("\n")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column()
    for one in findings:
        words = Text(one.found)
        if one.remedy:
            words.append(f"\n{one.remedy}", style="dim")
        table.add_row(one.name, Text(one.state, style=_STATE_STYLE[one.state]), words)
    _print(table, file)
    if able:
        all_of = "Every lab runs here" if len(here) == len(labs) else "These labs run here"
        _print(Text(f"\n{all_of}: {', '.join(here)}", style="green"), file)
        for name, lack in labs.items():
            if lack:
                _print(Text(f"\nLab {name} can't run: {lack}", style="bold yellow"), file)
    else:
        missing = ", ".join(one.name for one in findings if one.state is State.NO)
        _print(Text(f"\nNo lab can run here until this is mended: {missing}", style="bold red"), file)
