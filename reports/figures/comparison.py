"""The comparison of the five models, as UNP 6.2 draws it: a column for each model, time goes down.

Until the data is ready the columns are not to scale. From then on all columns have one scale, so that the models can be
compared: when each thread is notified, when the data is copied, when the program has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from findings.pictures.figure import Doing, Figure, Stretch
from reports.figures import captions
from reports.figures.captions import Caption
from reports.figures.letters import LINE, wrapped
from reports.figures.paper import Paper
from reports.figures.places import spread
from reports.figures.sizes import Size
from reports.figures.style import CLASSES
from reports.words import duration
from runs.report import Drawn


@dataclass(frozen=True)
class Model:
    """One column: its title and the figure that it is taken from."""

    title: str
    figure: Figure

    @property
    def ready(self) -> int:
        """When the data was ready, ns."""
        return self.figure.scene.message.ready

    @property
    def returned(self) -> int:
        """When the program had the data, ns after "ready"."""
        return self.figure.scene.message.returned - self.ready


@dataclass(frozen=True)
class _Sheet:
    """The paper and its scale: `head` is the top of the columns, `ready` the height at which the data is ready."""

    paper: Paper
    size: Size
    wide: float  # of a column
    head: float
    ready: float
    per_ns: float

    @property
    def bottom(self) -> float:
        """The end of the columns."""
        return self.paper.height - self.foot

    foot: float = 0.0

    def y(self, ns: int) -> float:
        """The height of a moment after "ready"."""
        return self.ready + ns * self.per_ns


def of_runs(drawn: Sequence[Drawn], size: Size) -> Paper:
    """The comparison of several runs."""
    models = [Model(captions.model_title(found), found.figure) for found in drawn]
    return draw(models, captions.of_several(drawn), size)


def draw(models: Sequence[Model], caption: Caption, size: Size) -> Paper:
    """The columns beside each other."""
    run = wrapped(caption.run, size.small, size.width - 2 * size.margin)
    foot = 5.2 * size.line + len(run) * size.small * LINE + size.margin
    head = size.margin + (size.font * 2 if size.titled else 0) + size.line * 2.9
    room = size.height - head - foot if size.height else 520.0
    height = size.height or head + room + foot
    paper = Paper((size.width, height), caption.title, caption.run)
    wide = (size.width - 2 * size.margin - size.font * 8.5) / len(models)
    before = room * 0.36
    longest = max(model.returned for model in models)
    sheet = _Sheet(paper, size, wide, head, head + before, (room - before - size.line) / max(longest, 1), foot)
    if size.titled:
        paper.text((size.margin, size.margin + size.font * 0.8), caption.title, size.font * 1.35, bold=True)
    _ready_line(sheet, len(models))
    for number, model in enumerate(models):
        _column(sheet, size.margin + number * wide, model)
    _braces(sheet, len(models), longest)
    _below(sheet, models)
    paper.lines((size.margin, height - size.margin - len(run) * size.small * LINE / 2), run, size.small, "soft")
    return paper


def _ready_line(sheet: _Sheet, columns: int) -> None:
    """The moment that all columns share."""
    size = sheet.size
    right = size.margin + columns * sheet.wide
    sheet.paper.line([(size.margin, sheet.ready), (right, sheet.ready)], "rule dash")


def _column(sheet: _Sheet, left: float, model: Model) -> None:
    paper, size = sheet.paper, sheet.size
    lane = left + size.font
    title = wrapped(model.title, size.font, sheet.wide - size.font * 0.6, bold=True)
    for number, line in enumerate(title):
        middle = sheet.head - size.line * (len(title) - number + 0.1)
        paper.text((left, middle), line, size.font, bold=True)
    paper.line([(lane, sheet.head), (lane, sheet.bottom)], "rule")
    _before(sheet, lane, model)
    for stretch in model.figure.stretches:
        _stretch(sheet, lane, model, stretch)
    _events(sheet, lane, model)


def _before(sheet: _Sheet, lane: float, model: Model) -> None:
    """Phase 1 until the data is ready: asleep, or polling, at a fixed length."""
    figure, paper, size = model.figure, sheet.paper, sheet.size
    start = sheet.head + size.line * 0.6
    if figure.polls:
        tip = f"{figure.polls.name}: {figure.polls.errno} {figure.polls.count:,} times in {duration(figure.polls.ns)}"
        step = size.font * 0.55
        paper.line([(lane, start), (lane, sheet.ready)], CLASSES[Doing.USER], tip)
        at = start
        while at < sheet.ready - 2:
            paper.line([(lane - 5, at), (lane + 5, at)], CLASSES[Doing.POLLING])
            at += step
        _words(sheet, lane, start + size.line, [figure.polls.name, "check, check"], "")
        _words(
            sheet,
            lane,
            start + size.line * 4.2,
            [f"{figure.polls.count:,} EAGAIN", f"in {duration(figure.polls.ns)}"],
            "polling",
        )
    elif at_start := figure.scene.sleep_at_start:
        call, sleep = at_start
        tip = f"{call.name}: asleep for {duration(sleep.wait)}"
        paper.line([(lane - 6, start), (lane + 6, start)], "")
        paper.line([(lane, start + 4), (lane, sheet.ready)], CLASSES[Doing.ASLEEP], tip)
        _words(sheet, lane, start + size.line, [call.name, "initiate" if call in figure.scene.reads else "wait"], "")
        _words(sheet, lane, start + size.line * 4.2, ["blocked", duration(sleep.wait)], "asleep")
    for shift in (0.0, 8.0):
        middle = (start + sheet.ready) / 2 + size.line + shift
        paper.line([(lane - 9, middle + 3), (lane - 4, middle - 3), (lane + 4, middle + 3), (lane + 9, middle - 3)], "")


def _words(sheet: _Sheet, lane: float, middle: float, words: list[str], kind: str) -> None:
    size = sheet.size
    room = sheet.wide - size.font * 2.4
    lines = [line for part in words for line in wrapped(part, size.small, room)]
    sheet.paper.lines((lane + size.font, middle), lines, size.small, kind)


def _stretch(sheet: _Sheet, lane: float, model: Model, stretch: Stretch) -> None:
    """A part of the path after the data was ready, until the program has it."""
    begin, end = max(stretch.begin - model.ready, 0), min(stretch.end - model.ready, model.returned)
    if end <= begin:
        return
    inside = f"{stretch.call.name}: " if stretch.call else ""
    kind = Doing.USER if stretch.doing is Doing.POLLING else stretch.doing
    sheet.paper.line(
        [(lane, sheet.y(begin)), (lane, sheet.y(end))], CLASSES[kind], f"{inside}{stretch.doing} for {duration(end - begin)}"
    )


def _events(sheet: _Sheet, lane: float, model: Model) -> None:
    """When the thread is notified, the data is copied, the program has it."""
    size, paper = sheet.size, sheet.paper
    found = list(_moments(model))
    wanted = [sheet.y(at) for at, *_ in found]
    heights = [len(words) * size.small * LINE + size.font * 0.25 for _, words, _ in found]
    places = spread(wanted, heights, sheet.ready + 2, sheet.bottom)
    for (_, words, kind), at, middle in zip(found, wanted, places, strict=True):
        paper.line([(lane + 4, at), (lane + size.font * 0.9, middle)], "lead")
        paper.lines((lane + size.font, middle), words, size.small, kind)


def _moments(model: Model) -> Iterator[tuple[int, list[str], str]]:
    """(ns after "ready", words, kind)."""
    scene = model.figure.scene
    message = scene.message
    after = {name: getattr(message, name) - message.ready for name in ("notified", "read", "copied", "returned")}
    yield after["notified"], ["notified", duration(after["notified"])], ""
    if scene.reads and message.read > message.notified:
        yield after["read"], [scene.reads[0].name], ""
    yield after["copied"], [f"copied {duration(after['copied'])}"], "copy"
    yield after["returned"], ["complete", duration(after["returned"])], ""


def _braces(sheet: _Sheet, columns: int, longest: int) -> None:
    """What the two parts of the columns are."""
    size, paper = sheet.size, sheet.paper
    x = size.margin + columns * sheet.wide + size.font * 0.2
    room = size.width - size.margin * 0.5 - x - size.font * 1.5
    parts = [
        (sheet.head + size.line * 0.6, sheet.ready, ["wait for data", "(not to scale)"]),
        (sheet.ready, sheet.y(longest), ["data ready;", "notify and copy", "(to scale)"]),
    ]
    for begin, end, words in parts:
        middle, deep = (begin + end) / 2, size.font * 0.4
        paper.line([(x, begin), (x + deep, begin + deep), (x + deep, middle - deep), (x + 2 * deep, middle),
                    (x + deep, middle + deep), (x + deep, end - deep), (x, end)], "")  # fmt: skip
        lines = [line for part in words for line in wrapped(part, size.small, room)]
        paper.lines((x + size.font * 1.3, middle), lines, size.small)


def _below(sheet: _Sheet, models: Sequence[Model]) -> None:
    """What the models have in common, as the textbook writes it below its columns."""
    size, paper = sheet.size, sheet.paper
    top = sheet.bottom + size.line * 0.6
    synchronous = sum(1 for model in models if model.figure.scene.reads)
    groups = [
        (0, synchronous, "phase 1 differs; in phase 2 all are blocked in a call that copies the data"),
        (synchronous, len(models), "one call for both phases"),
    ]
    for first, last, words in groups:
        if first == last:
            continue
        left, right = size.margin + first * sheet.wide, size.margin + last * sheet.wide - size.font
        paper.line([(left, top - 5), (left, top), (right, top), (right, top - 5)], "")
        lines = wrapped(words, size.small, right - left + (size.font * 3 if last == len(models) else 0))
        paper.lines((left, top + size.line * (0.4 + len(lines) / 2)), lines, size.small)
    _keys(sheet, top + size.line * 3.4)


def _keys(sheet: _Sheet, middle: float) -> None:
    size, paper = sheet.size, sheet.paper
    x = size.margin
    for doing in (Doing.ASLEEP, Doing.RUN_QUEUE, Doing.KERNEL, Doing.COPY, Doing.USER, Doing.POLLING):
        paper.line([(x + size.font * 0.2, middle), (x + size.font * 1.2, middle)], CLASSES[doing])
        paper.text((x + size.font * 1.8, middle), doing, size.small, "soft")
        x = paper.boxes[-1].right + size.font * 0.9
