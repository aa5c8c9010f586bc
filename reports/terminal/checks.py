"""The checks of a lab or of the comparison: each statement with its verdict, its claims and its evidence."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from probes.measure.result import Check, Verdict
from probes.words import visible
from reports.terminal.screen import Screen, note, pairs, section
from reports.words import VERDICTS, claims_named, definitions

VERDICT_STYLE = {
    Verdict.CONFIRMED: "green",
    Verdict.REFINED: "cyan",
    Verdict.REFUTED: "magenta",
    Verdict.FAILED: "bold red",
    Verdict.INCONCLUSIVE: "bold yellow",
    Verdict.UNAVAILABLE: "dim",
}
_VERDICT = 12  # columns: "inconclusive"; "not shown here" makes the column wider where it occurs


def show(checks: Sequence[Check], out: Screen) -> None:
    """The section with all checks, the meanings of their verdicts (but not of "confirmed"), and what C and a number mean."""
    section(out, "statements checked")
    width = max([_VERDICT, *(len(VERDICTS[check.verdict].word) for check in checks)])
    for check in checks:
        pairs(out, _rows(check), width)
    for words in definitions({check.verdict for check in checks} - {Verdict.CONFIRMED}):
        note(out, f"{words.word}: {words.meaning}")
    if ids := [claim for check in checks for claim in check.claims]:
        note(out, claims_named(ids[0]))


def _rows(check: Check) -> list[tuple[Text, Text]]:
    verdict = Text(VERDICTS[check.verdict].word, style=VERDICT_STYLE[check.verdict])
    statement = Text.assemble((visible(check.name), "bold"), f"  {' '.join(check.claims)}")
    return [(verdict, statement), (Text(), Text(visible(check.evidence)))]
