"""The timeline on a page: a static picture of the whole run for paper, and the lanes as data for templates/timeline.js."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from markupsafe import Markup

from findings.pictures.lanes import AWAKE, Lane, Phase
from findings.pictures.timeline import Band, Cell, Timeline, Window, cells
from findings.zoom import Zoom
from probes.words import count, visible
from reports import moments
from reports import timeline as sentences
from reports.html import packed
from reports.terminal.timeline import LETTERS
from reports.words import duration, share
from runs.report import Report

LANES = 50  # that are shown; the others of a kind are folded
_COLUMNS, _HIGH = 240, 20  # of a lane in the static picture
_THIN, _SEEN = 4, 11  # the height of a sleep; the least of a bar: what was awake is seen, however short
_TICKS = 6
KINDS = {
    Phase.ASLEEP: "asleep", Phase.RUN_QUEUE: "runq", Phase.PREEMPTED: "preempted", Phase.COPY: "copy", Phase.KERNEL: "kernel",
    Phase.USER: "user", Phase.BURST: "polling", Phase.NOT_RECORDED: "unknown",
}  # fmt: skip


def content(report: Report, zoom: Zoom | None = None) -> dict[str, Any] | None:
    """What the template inserts; None for a run without threads."""
    found = report.timeline
    bands = found.bands(found.run, LANES)
    if not bands:
        return None
    every = [lane for band in bands for lane in (*band.lanes, *band.folded)]
    data = packed.pack(found, every, report.labels.waker)
    phases = sorted({Phase(phase) for lane in every for phase in set(lane.phases)})
    return {
        "sentences": _sentences(report, bands, data),
        "legend": [(KINDS[phase], _key(phase)) for phase in phases],
        "bands": [_band(band, report, found) for band in bands],
        "ticks": _ticks(found.run),
        "head": _in_script(_head(report, found, bands, data) | {"first": _first(found, zoom)}),
        "data": Markup(data.data),
        "typical": bool(found.typical),
    }


def _first(found: Timeline, zoom: Zoom | None) -> list[int]:
    """The part that is shown first: the whole run, or what the user named."""
    window = found.window(zoom) if zoom and zoom.named else found.run
    return [window.begin - found.run.begin, window.end - found.run.begin]


def _key(phase: Phase) -> str:
    """The words of the legend, with the letter that stands in the lanes."""
    letter = LETTERS[phase].letter
    return f"{letter} = {phase.words}" if letter.isalpha() else phase.words


def _sentences(report: Report, bands: Sequence[Band], data: packed.Packed) -> list[str]:
    """What is shown, and what is not."""
    found, said = report.timeline, []
    shown, threads = sum(len(band.lanes) for band in bands), len(found.of_thread)
    if shown < threads:
        folded = "; ".join(
            f"{len(band.folded):,} of {visible(report.labels.group(band.group))} folded" for band in bands if band.folded
        )
        said.append(f"Shown: {shown} of {count(threads, 'thread')}, the busiest of each kind; {folded}.")
    if words := sentences.not_recorded(found, found.of_thread.values(), found.run, "The hatched part"):
        said.append(f"{words}.")
    if data.grain > 1:
        said.append(f"The lanes round all times to {data.grain} ns, because the page would be too large otherwise.")
    if data.step:
        said.append(
            f"The run has too many calls for a page: the lanes show the time in each phase in steps of {duration(data.step)}."
            " The timeline of the terminal (--timeline) shows every call."
        )
    return said


def _band(band: Band, report: Report, found: Timeline) -> dict[str, Any]:
    """The threads of one kind in the static picture."""
    return {
        "label": report.labels.group(band.group),
        "lanes": [_lane(lane, found.run) for lane in band.lanes],
        "folded": f"{count(len(band.folded), 'thread')} of this kind folded" if band.folded else "",
    }


def _lane(lane: Lane, run: Window) -> dict[str, Any]:
    thread = lane.thread
    spent = lane.spent(run.begin, run.end)
    parts = sorted((phase for phase in Phase if spent[phase]), key=lambda phase: -spent[phase])
    said = ", ".join(f"{phase.words} {share(spent[phase], thread.wall)}" for phase in parts)
    return {
        "label": f"{thread.name} {thread.tid}",
        "words": f"{thread.name} {thread.tid}: {duration(thread.wall)}, {said}",
        "drawing": _drawing(cells(lane, run, _COLUMNS)),
    }


def _drawing(columns: Sequence[Cell]) -> Markup:
    """A lane: a thin line where the thread slept, and a bar where it was awake, the higher the longer."""
    heights = [_heights(cell) for cell in columns]
    paths = "".join(f'<path class="f-{kind}" d="{path}"/>' for phase, kind in KINDS.items() if (path := _path(heights, phase)))
    return Markup(paths)


_FROM_BELOW = (Phase.BURST, Phase.USER, Phase.KERNEL, Phase.COPY, Phase.PREEMPTED, Phase.RUN_QUEUE)


def _heights(cell: Cell) -> dict[Phase, tuple[int, int]]:
    """Where each phase is in its column: (its lower edge, its height)."""
    whole, awake = sum(cell), sum(cell[phase] for phase in AWAKE)
    if not awake:
        rest = Phase.NOT_RECORDED if cell[Phase.NOT_RECORDED] > cell[Phase.ASLEEP] else Phase.ASLEEP
        return {rest: (0, _HIGH if rest is Phase.NOT_RECORDED else _THIN)} if whole else {}
    high, found, done = max(round(_HIGH * awake / whole), _SEEN), {}, 0
    for phase in _FROM_BELOW:
        low = high * done // awake
        done += cell[phase]
        if high * done // awake > low:
            found[phase] = (low, high * done // awake - low)
    return found


def _path(heights: Sequence[dict[Phase, tuple[int, int]]], phase: Phase) -> str:
    """The rectangles of one phase; columns of the same height are one."""
    found, begin = [], 0
    while begin < len(heights):
        here, end = heights[begin].get(phase), begin + 1
        while end < len(heights) and heights[end].get(phase) == here:
            end += 1
        if here and here[1]:
            low, high = here
            found.append(f"M{begin} {_HIGH - low - high}h{end - begin}v{high}H{begin}z")
        begin = end
    return "".join(found)


def _ticks(run: Window) -> list[tuple[str, str]]:
    """(place in per cent, label) of the axis."""
    return [(f"{100 * at / max(run.span, 1):.2f}", label) for at, label in moments.ticks(0, run.span, _TICKS)]


def _head(report: Report, found: Timeline, bands: Iterable[Band], data: packed.Packed) -> dict[str, Any]:
    """All that timeline.js needs beside the columns."""
    head: dict[str, Any] = {
        "span": found.run.span,
        "lanes": data.lanes,
        "names": data.names,
        "queues": data.queues,
        "causes": data.causes,
        "errors": data.errors,
        "columns": data.columns,
        "grain": data.grain,
        "phases": [[KINDS[phase], phase.words, LETTERS[phase].letter] for phase in Phase],
        "bands": [],
    }
    at = 0
    for band in bands:
        label = visible(report.labels.group(band.group))
        head["bands"].append({"label": label, "from": at, "shown": len(band.lanes), "folded": len(band.folded)})
        at += len(band.lanes) + len(band.folded)
    if found.typical:
        head["typical"] = [found.typical.begin - found.run.begin, found.typical.end - found.run.begin]
    return head


def _in_script(value: Any) -> Markup:
    """JSON that stands in a script element: no `<` can end the element."""
    return Markup(json.dumps(value, separators=(",", ":"), ensure_ascii=True).replace("<", "\\u003c"))
