"""Bars and strips for a page, as SVG: a browser prints the areas of an SVG, but not the background of a cell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

from findings.pictures.strips import Strip, Strips
from probes.measure.result import CallRow, Thread
from probes.words import visible
from reports.terminal.states import PHASES
from reports.terminal.threads import account
from reports.words import duration, share

_LENGTH = 1_000  # of a full bar, in units of the SVG
_CLASSES = {
    "asleep": "asleep", "run queue": "runq", "preempted": "preempted", "kernel": "kernel", "copy": "copy", "user code": "user",
}  # fmt: skip


class Part(NamedTuple):
    """A part of a bar: its kind (a class of the style sheet), its length in ns, and its words."""

    kind: str
    ns: int
    words: str


def of_thread(thread: Thread) -> Markup:
    """Where a thread's time went."""
    order = list(_CLASSES)
    parts = sorted(account(thread), key=lambda part: order.index(part[0]))
    return bar([_part(label, ns, thread.wall) for label, ns in parts], thread.wall)


def of_call(row: CallRow, longest: int) -> Markup:
    """The phases of all calls of one name; a full bar is the longest of these sums."""
    parts = [(label, int(getattr(row, phase))) for label, phase in PHASES]
    return bar([_part(label, ns, row.total) for label, ns in parts], longest)


def _part(label: str, ns: int, whole: int) -> Part:
    return Part(_CLASSES[label], ns, f"{label} {duration(ns)}, {share(ns, whole)}")


def of_message(strip: Strip, strips: Strips) -> Markup:
    """The way of one message; a strip that is longer than the scale ends in a break."""
    parts = [
        Part("asleep", strip.unread, f"unread until the thread was notified: {duration(strip.unread)}"),
        Part("copy", strip.noticed, f"until the data was copied: {duration(strip.noticed)}"),
        Part("user", strip.copied, f"until it was returned to the program: {duration(strip.copied)}"),
    ]
    return bar(parts, strips.scale, cut=strip.total > strips.scale)


def bar(parts: Sequence[Part], full: int, cut: bool = False) -> Markup:
    """The parts beside each other, in proportion to `full`. What is there is seen: no part is thinner than a hair."""
    drawn, at = [], 0.0
    for part in parts:
        if not part.ns or at >= _LENGTH:
            continue
        wide = min(max(part.ns * _LENGTH / max(full, 1), 2.0), _LENGTH - at)
        title = escape(visible(part.words))
        drawn.append(f'<rect class="f-{part.kind}" x="{at:.0f}" width="{wide:.1f}" height="10"><title>{title}</title></rect>')
        at += wide
    if cut:
        drawn.append('<path class="cut" d="M955 0h22l-12 10h-22z"/>')
    words = escape(visible("; ".join(part.words for part in parts if part.ns)))
    inside = "".join(drawn)
    return Markup(
        f'<svg class="bar figure" viewBox="0 0 {_LENGTH} 10" preserveAspectRatio="none" role="img" aria-label="{words}">'
        f"{inside}</svg>"
    )


def legend(kinds: Iterable[tuple[str, str]]) -> Markup:
    """What the colours mean: (class, words)."""
    boxes = "".join(
        f'<span><svg class="figure key" viewBox="0 0 10 10" aria-hidden="true"><rect class="f-{kind}" width="10" height="10"/>'
        f"</svg> {escape(words)}</span>"
        for kind, words in kinds
    )
    return Markup(f'<p class="legend">{boxes}</p>')


STATES = tuple((kind, label) for label, kind in _CLASSES.items())
WAY = (
    ("asleep", "unread until the thread was notified"),
    ("copy", "until the data was copied"),
    ("user", "until it was returned to the program"),
)
