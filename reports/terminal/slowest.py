"""The slowest messages and calls, each with its story (`--slowest N`)."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text

from findings.slowest import Slowest, Story
from probes.words import visible
from reports.terminal.screen import Screen, indented, note, section
from reports.words import duration


def show(found: Slowest, begin: int, out: Screen) -> None:
    """Both lists; `begin` is the start of the run."""
    section(out, "slowest messages")
    _stories(found.messages, begin, out)
    section(out, "slowest calls, the time that their threads were idle left out")
    _stories(found.calls, begin, out)


def _stories(stories: Iterable[Story], begin: int, out: Screen) -> None:
    stories = list(stories)
    for story in stories:
        title, _, path = story.words.partition(": ")
        out.print(Text.assemble((visible(title), "bold"), f", {duration(story.begin - begin)} after the start"))
        for step in path.split("; "):
            out.print(indented(Text(visible(step))))
    if not stories:
        note(out, "this run has none", "")
