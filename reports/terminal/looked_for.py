"""The reasons for the classification, and what was looked for: each property that holds, or that this run does not show."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from findings.diagnosis import ProgramFinding
from probes.words import visible
from reports.terminal.screen import Screen, indented, note, section
from runs.report import Report


def show(report: Report, out: Screen) -> None:
    """The section."""
    section(out, "properties that iolab checked")
    for reason in report.identity.classification.because:
        note(out, f"{report.identity.classification.model.words}: {visible(reason)}", "")
    _list("holds", "green", report.diagnosis.held, out)
    _list("not shown", "dim", report.diagnosis.not_shown, out)


def _list(verdict: str, style: str, findings: Sequence[ProgramFinding], out: Screen) -> None:
    for finding in findings:
        out.print(Text.assemble((f"{verdict}: ", style), visible(finding.statement)))
        out.print(indented(Text(visible(finding.evidence), style="dim")))
