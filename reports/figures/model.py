"""One model's figure, as UNP 6.2 draws it: time goes down, the application is on the left, the kernel on the right.

The thread's path is drawn to scale from the moment the client sends: in the application's lane it runs user code, in the
kernel's lane it is in a system call. What came before (a long sleep, thousands of EAGAINs) is broken, at a fixed length.
"""

from __future__ import annotations

from findings.pictures.figure import Doing, Figure
from reports.figures import before, captions, labels, path
from reports.figures.captions import Caption
from reports.figures.drawing import Drawing
from reports.figures.letters import LINE, width, wrapped
from reports.figures.paper import Paper
from reports.figures.sizes import Size
from reports.figures.style import CLASSES
from runs.report import Drawn


def of_run(drawn: Drawn, size: Size) -> Paper:
    """The figure of one run."""
    return draw(drawn.figure, captions.caption(drawn.figure, drawn.result, drawn.case), size)


def draw(figure: Figure, caption: Caption, size: Size) -> Paper:
    """The figure on paper of this size; in a column it is as high as its labels need."""
    run = wrapped(caption.run, size.small, size.width - 2 * size.margin)
    keys = _keys(figure, size)
    foot = size.line * (1.4 + len(keys)) + len(run) * size.small * LINE + size.margin
    head = size.margin + (size.font * 2 if size.titled else 0) + size.line * 1.4
    top = head + before.height(figure, size)
    events = labels.events(figure, size)
    room = size.height - top - foot - size.line if size.height else max(size.scaled, labels.height(events, size))
    height = size.height or top + room + size.line + foot
    paper = Paper((size.width, height), caption.title, caption.run)
    drawing = Drawing(paper, figure, size, head, top, room)
    _lanes(drawing, caption.title)
    before.draw(drawing)
    path.draw(drawing)
    labels.draw(drawing, events)
    _legend(drawing, keys, height - foot + size.line * 1.1)
    paper.lines((size.margin, height - size.margin - len(run) * size.small * LINE / 2), run, size.small, "soft")
    return paper


def _lanes(drawing: Drawing, title: str) -> None:
    """The names of the lanes, and the lanes."""
    paper, size = drawing.paper, drawing.size
    if size.titled:
        paper.text((size.margin, size.margin + size.font * 0.8), title, size.font * 1.35, bold=True)
    middle = drawing.head - size.line * 0.7
    application = width("application", size.font, bold=True)
    paper.text((max(size.application - application / 2, size.margin), middle), "application", size.font, bold=True)
    paper.text((size.kernel, middle), "kernel", size.font, anchor="middle", bold=True)
    left = size.kernel + width("kernel", size.font, bold=True) / 2 + size.font * 0.8
    network = width("network", size.font, bold=True)
    paper.text((max(size.net - network / 2, left), middle), "network", size.font, bold=True)
    for lane in (size.application, size.kernel, size.net):
        paper.line([(lane, drawing.head), (lane, drawing.bottom)], "rule")


def _keys(figure: Figure, size: Size) -> list[list[Doing]]:
    """The strokes that the figure has, in lines that are no wider than the paper."""
    lines: list[list[Doing]] = [[]]
    x = 0.0
    for doing in Doing:
        if not any(stretch.doing is doing for stretch in figure.stretches):
            continue
        if x + _key(doing, size) > size.width - 2 * size.margin:
            lines.append([])
            x = 0.0
        lines[-1].append(doing)
        x += _key(doing, size)
    return lines


def _key(doing: Doing, size: Size) -> float:
    """The width of a stroke with its words."""
    return size.font * 2.7 + width(doing, size.small)


def _legend(drawing: Drawing, keys: list[list[Doing]], middle: float) -> None:
    """What the strokes of the path mean."""
    paper, size = drawing.paper, drawing.size
    for line in keys:
        x = size.margin
        for doing in line:
            paper.line([(x + size.font * 0.2, middle), (x + size.font * 1.2, middle)], CLASSES[doing])
            paper.text((x + size.font * 1.8, middle), doing, size.small, "soft")
            x += _key(doing, size)
        middle += size.line
