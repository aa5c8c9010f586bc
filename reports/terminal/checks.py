"""The checks of a lab or of the comparison: each statement with its verdict, its claims and its evidence."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from probes.measure.result import Check, Verdict
from probes.words import visible
from reports.terminal.screen import Screen, pairs, section

VERDICT_STYLE = {
    Verdict.CONFIRMED: "green",
    Verdict.REFINED: "cyan",
    Verdict.REFUTED: "magenta",
    Verdict.FAILED: "bold red",
    Verdict.INCONCLUSIVE: "bold yellow",
    Verdict.UNAVAILABLE: "dim",
}
_VERDICT = 12  # columns: the longest verdict


def show(checks: Sequence[Check], out: Screen) -> None:
    """The section with all of them."""
    section(out, "statements checked")
    for check in checks:
        pairs(out, _rows(check), _VERDICT)


def _rows(check: Check) -> list[tuple[Text, Text]]:
    verdict = Text(check.verdict.value, style=VERDICT_STYLE[check.verdict])
    statement = Text.assemble((visible(check.name), "bold"), f"  {' '.join(check.claims)}")
    return [(verdict, statement), (Text(), Text(visible(check.evidence)))]
