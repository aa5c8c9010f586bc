"""How far the measurement can be trusted: events lost, independent witnesses, the cost of tracing, probes that are missing."""

from __future__ import annotations

from probes.measure.result import Result
from reports import quality
from reports.quality import Tone
from reports.terminal.screen import Screen, note, section

_STYLES = {Tone.NOTE: "dim", Tone.PLAIN: "", Tone.WARNING: "yellow", Tone.ALARM: "bold yellow"}


def show(result: Result, out: Screen) -> None:
    """The section, worst news first."""
    section(out, "quality of this measurement")
    for sentence in quality.sentences(result):
        note(out, sentence.words, _STYLES[sentence.tone])
