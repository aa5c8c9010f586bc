"""The lists: labs, claims, and what doctor found."""

from __future__ import annotations

import itertools
import json as codec
from collections.abc import Sequence
from typing import IO, Any

from rich.table import Table
from rich.text import Text

from probes.words import visible, visible_lines
from reports.terminal.checks import VERDICT_STYLE
from reports.terminal.screen import USUAL, Screen, indented, note, pairs, printing
from reports.words import VERDICTS, claims_named, with_command_name
from runs.catalogue import COMPARE, Capability, ClaimEntry, LabEntry, Machine, Support

SCHEMA_VERSION = 1
_STATE_STYLE = {"yes": "green", "limited": "yellow", "no": "bold red", "info": "dim"}


def _json(file: IO[str], **content: Any) -> None:
    codec.dump({"schema_version": SCHEMA_VERSION, **content}, file, indent=1)
    file.write("\n")


def _chapter(title: str) -> tuple[str, Text]:
    return "", Text(title, style="bold underline")


def write_labs(labs: Sequence[LabEntry], file: IO[str], json: bool = False) -> None:
    """Every lab with its question, by chapter."""
    if json:
        rows = [
            {
                "name": lab.name,
                "chapter": lab.chapter,
                "model": lab.model,
                "question": lab.question,
                "claims": list(lab.claims),
                "checks": list(lab.checks),
            }
            for lab in labs
        ]
        _json(file, labs=rows)
        return
    with printing(file) as out:
        width = max(len(lab.name) for lab in labs)
        for chapter, of_chapter in itertools.groupby(labs, lambda lab: lab.chapter):
            entries = [
                (Text(lab.name, style="bold"), Text.assemble(lab.question, ("  " + " ".join(lab.claims), "dim")))
                for lab in of_chapter
            ]
            pairs(out, [_chapter(chapter), *entries], width)
        out.print()
        note(out, with_command_name("invoke lab NAME runs one of these labs, for example invoke lab blocking"))
        if ids := sorted({claim for lab in labs for claim in lab.claims}):
            note(out, claims_named(ids[0]))


def write_claims(claims: Sequence[ClaimEntry], file: IO[str], json: bool = False) -> None:
    """Every claim with the checks that test it, and their verdicts if they were run."""
    if json:
        rows = [
            {
                "id": claim.id,
                "chapter": claim.chapter,
                "claim": claim.text,
                "checks": [_support(each) for each in claim.supports],
            }
            for claim in claims
        ]
        _json(file, verdicts={verdict.value: words.meaning for verdict, words in VERDICTS.items()}, claims=rows)
        return
    with printing(file) as out:
        _verdicts(out)
        width = max(len(claim.id) for claim in claims)
        for chapter, of_chapter in itertools.groupby(claims, lambda claim: claim.chapter):
            pairs(out, [_chapter(chapter), *((Text(claim.id, style="bold"), _claim(claim)) for claim in of_chapter)], width)


def _verdicts(out: Screen) -> None:
    """What each verdict means. The statement is the name of the check, and stands for its claims."""
    out.print(Text("Verdicts", style="bold underline"))
    rows = [(Text(words.word, style=VERDICT_STYLE[verdict]), Text(words.meaning)) for verdict, words in VERDICTS.items()]
    pairs(out, rows, max(len(words.word) for words in VERDICTS.values()))
    out.print()


def _support(support: Support) -> dict[str, Any]:
    verdict = {} if support.check is None else {"verdict": support.check.verdict, "evidence": support.check.evidence}
    return {"lab": support.lab, "name": support.name, **verdict}


def _claim(claim: ClaimEntry) -> Text:
    words = Text(claim.text)
    for support in claim.supports:
        place = support.lab if support.lab == COMPARE else f"lab {support.lab}"
        if support.check is None:
            words.append(f"\n{place}: {support.name}", style="green")
        else:
            style = VERDICT_STYLE[support.check.verdict]
            words.append(f"\n{VERDICTS[support.check.verdict].word}: {visible(support.check.evidence)} ({place})", style=style)
    if not claim.supports:
        words.append("\nno lab checks this claim yet", style="dim")
    return words


def write_doctor(machine: Machine, file: IO[str], json: bool = False) -> None:
    """Every capability with its remedy, and which labs run here."""
    if json:
        rows = [
            {"name": capability.name, "state": capability.state, "found": capability.found, "remedy": capability.remedy}
            for capability in machine.capabilities
        ]
        _json(file, can_trace=machine.can_trace, capabilities=rows, labs=list(machine.labs))
        return
    with printing(file) as out:
        _capabilities(machine.capabilities, out)
        out.print()
        if not machine.can_trace:
            missing = ", ".join(machine.blocking)
            out.print(Text(f"No lab can run here until this is repaired: {missing}", style="bold red"))
            return
        which = "These labs run here" if machine.lacking else "Every lab runs here"
        out.print(Text(f"{which}: {', '.join(machine.labs)}", style="green"))
        for name, lack in machine.lacking.items():
            out.print()
            out.print(Text(f"Lab {name} can't run: {visible(lack)}", style="bold yellow"))


def _capabilities(found: Sequence[Capability], out: Screen) -> None:
    """A table; where the screen is narrow each description stands below its name."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column()
    for capability in found:
        state, words = Text(capability.state, style=_STATE_STYLE[capability.state]), Text(visible_lines(capability.found))
        if capability.remedy:
            words.append(f"\n{visible_lines(with_command_name(capability.remedy))}", style="dim")
        if out.width < USUAL:
            out.print(Text.assemble((capability.name, "bold"), "  ", state))
            out.print(indented(words))
        table.add_row(capability.name, state, words)
    if out.width >= USUAL:
        out.print(table)
