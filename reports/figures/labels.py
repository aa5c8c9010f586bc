"""The words of a figure: the events right of the lanes, the calls left of them, the braces of blocking and of the phases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from findings.pictures.figure import Doing, Figure
from probes.measure.result import Call
from probes.measure.wakers import Waker
from probes.words import count
from reports.figures.drawing import Drawing, returns
from reports.figures.letters import cut, width, wrapped
from reports.figures.places import spread
from reports.figures.sizes import Size
from reports.words import duration


@dataclass(frozen=True)
class Event:
    """Something that happened at a moment, in lines of words."""

    at: int
    network: bool  # in the network's lane, else in the kernel's
    time: str
    words: tuple[str, ...]
    kind: str = ""

    def lines(self, size: Size) -> int:
        """How many lines it needs."""
        return len(self.words) + (0 if size.times else 1)


def events(figure: Figure, size: Size) -> list[Event]:
    """The labels right of the lanes, in order."""
    found = sorted(_events(figure), key=lambda event: event[0])
    ready = figure.scene.message.ready
    return [
        Event(at, network, duration(at - ready), tuple(wrapped(words, size.font, size.labels)), kind)
        for at, network, words, kind in found
    ]


def height(found: Sequence[Event], size: Size) -> float:
    """The room that the labels need at least."""
    return sum(event.lines(size) * size.line + size.font * 0.5 for event in found)


def _events(figure: Figure) -> Iterator[tuple[int, bool, str, str]]:
    """Each event: (moment, in the network, words, kind)."""
    scene, message = figure.scene, figure.scene.message
    if scene.sent is not None:
        yield scene.sent, True, "the client sends", ""
    several = message.arrivals > 1
    first = f"first of {message.arrivals:,} segments" if several else f"data ready, {message.bytes:,} B"
    yield message.ready, False, first, ""
    if several and message.all_ready is not None:
        yield message.all_ready, False, f"all data ready, {message.bytes:,} B", ""
    found = scene.sleep_when_ready
    if found and found[1].waker:
        yield found[1].woken, False, f"woken: {_chain(found[1].waker)}", "runq"
    on = found[1].on if found else None
    if on is not None:
        yield on, False, "on a CPU" + (": notified" if on == message.notified else ""), ""
    if on != message.notified:
        yield message.notified, False, f"notified, in {message.notified_by}", ""
    copying = sum(read.copy for read in scene.reads)
    yield message.copied, False, "data copied" + (f", in at most {duration(copying)}" if copying else ""), "copy"


def _chain(waker: Waker) -> str:
    """The way of the wake-up, without the functions' names."""
    links = [link.partition(" (")[0] for link in waker.chain]
    return " \u2192 ".join([*links, "thread"])


def draw(drawing: Drawing, found: Sequence[Event]) -> None:
    """All words in the part that is to scale."""
    _events_beside(drawing, found)
    _names(drawing)
    _on_arrows(drawing)
    _phases(drawing)
    if drawing.size.blocks:
        _blocking(drawing)


def _events_beside(drawing: Drawing, found: Sequence[Event]) -> None:
    size, paper = drawing.size, drawing.paper
    heights = [event.lines(size) * size.line + size.font * 0.35 for event in found]
    wanted = [drawing.y(event.at) for event in found]
    for event, at, middle in zip(found, wanted, spread(wanted, heights, drawing.top, drawing.bottom), strict=True):
        first = middle - (event.lines(size) - 1) * size.line / 2
        lane = size.net if event.network else size.kernel
        paper.line([(lane + size.font * 0.5, at), (size.net + size.font * 0.4, at), (_left(event, size) - 2, first)], "lead")
        if size.times:
            paper.text((size.label + size.times - size.font * 0.5, first), event.time, size.font, event.kind, "end", bold=True)
            paper.lines((size.label + size.times, middle), event.words, size.font, event.kind)
        else:
            paper.lines((size.label, middle), [event.time, *event.words], size.font, event.kind, bold_first=True)


def _left(event: Event, size: Size) -> float:
    """Where the text begins: a long time needs more than its column."""
    if not size.times:
        return size.label
    return min(size.label, size.label + size.times - size.font * 0.5 - width(event.time, size.font, bold=True))


def _names(drawing: Drawing) -> None:
    """The names of the calls that begin in the picture, left of the application's lane, and the program's own work."""
    size, paper = drawing.size, drawing.paper
    shown, left_out = _most_telling(drawing)
    words = [(drawing.y(call.enter), call.name) for call in shown]
    if left_out:
        words.append((drawing.bottom, count(left_out, "other call")))
    words += _own_work(drawing)
    words.sort()
    x = size.application - size.font * 0.8
    wanted = [at for at, _ in words]
    places = spread(wanted, [size.line] * len(words), drawing.top, drawing.bottom)
    for (at, name), middle in zip(words, places, strict=True):
        paper.text((x, middle), cut(name, size.font, size.names), size.font, "soft" if name in _WORK else "", "end")
        if abs(middle - at) > 2:
            paper.line([(size.application - 2, at), (x + 2, middle)], "lead")


_WORK = ("handles data",)


def _most_telling(drawing: Drawing) -> tuple[list[Call], int]:
    """The calls whose names have room, and how many others there are: the calls of the message itself come first."""
    scene = drawing.figure.scene
    calls = [call for call in scene.calls if call.enter >= scene.start]
    room = int(drawing.room / drawing.size.line) - len(_WORK)
    if len(calls) <= room:
        return calls, 0
    telling = {call.enter for call in [*scene.reads, *scene.echoes[:1], *filter(None, [scene.reporter])]}
    calls.sort(key=lambda call: (call.enter not in telling, call.enter))
    return sorted(calls[: room - 1], key=lambda call: call.enter), len(calls) - room + 1


def _own_work(drawing: Drawing) -> list[tuple[float, str]]:
    """The user code after the data was returned."""
    returned = drawing.figure.scene.message.returned
    work = [s for s in drawing.figure.stretches if s.doing is Doing.USER and s.begin >= returned]
    return [((drawing.y(work[0].begin) + drawing.y(work[0].end)) / 2, _WORK[0])] if work else []


def _on_arrows(drawing: Drawing) -> None:
    """What the arrows are, where they leave room: returns before calls."""
    scene, size = drawing.figure.scene, drawing.size
    heights = sorted(
        {drawing.top - size.line * 9}
        | {drawing.y(call.enter) for call in scene.calls if call.enter >= scene.start}
        | {drawing.y(call.exit) for call in scene.calls if call.exit <= scene.end}
    )
    for call in scene.calls:
        if call.exit <= scene.end:
            _on_arrow(drawing, heights, drawing.y(call.exit), returns(call))
    for call in scene.calls:
        if call.enter >= scene.start:
            _on_arrow(drawing, heights, drawing.y(call.enter), "system call")


def _on_arrow(drawing: Drawing, heights: Sequence[float], at: float, words: str) -> None:
    """Above the arrow, or below it."""
    size, paper = drawing.size, drawing.paper
    need = size.small * 1.25
    above = [height for height in heights if height < at - 0.5]
    below = [height for height in heights if height > at + 0.5]
    middle = None
    if not above or at - above[-1] >= need:
        middle = at - need * 0.52
    elif not below or below[0] - at >= need:
        middle = at + need * 0.56
    room = size.lanes - size.font
    if middle is None or width(words, size.small) > room:
        return
    polling = any(s.doing is Doing.POLLING and drawing.y(s.end) > middle - need for s in drawing.figure.stretches)
    centre = (size.application + size.kernel) / 2
    ends = centre - room / 2, centre + room / 2
    beside = [box for box in paper.boxes if box.right > ends[0] and box.left < ends[1]]
    free = all(abs(box.top + box.bottom - 2 * middle) >= 2 * need for box in beside)
    if free and not (polling and middle < at):
        paper.text((centre, middle), words, size.small, anchor="middle")


def _phases(drawing: Drawing) -> None:
    """The braces of phase 1 and phase 2, on the right. Where a completion announces data that was copied before, phase 1 ends
    where the copying began.
    """
    size, message = drawing.size, drawing.figure.scene.message
    begin = message.read if message.notified >= message.copied else max(message.read, message.notified)
    waited = drawing.y(min(message.notified, begin))
    parts = [
        (drawing.begin, waited, "phase 1:", "wait for data"),
        (drawing.y(begin), drawing.y(message.returned), "phase 2:", "copy data from kernel to user"),
    ]
    room = size.width - size.margin * 0.5 - size.phase
    words = [[title, *wrapped(about, size.font, room)] for *_, title, about in parts]
    wanted = [(top + bottom) / 2 for top, bottom, *_ in parts]
    places = spread(wanted, [len(lines) * size.line + size.font for lines in words], drawing.head, drawing.bottom)
    for (top, bottom, *_), lines, middle in zip(parts, words, places, strict=True):
        drawing.brace(size.brace, top, max(bottom, top + 4), left=False)
        drawing.paper.lines((size.phase, middle), lines, size.font, bold_first=True)


def _blocking(drawing: Drawing) -> None:
    """The braces on the left: in which call the process blocks, or that it polls."""
    scene, size = drawing.figure.scene, drawing.size
    x = size.margin + size.blocks + size.font * 0.9
    for begin, end, words in _blocked(drawing):
        lines = wrapped(words, size.font, size.blocks)
        if end - begin < len(lines) * size.line * 0.9 and scene.calls:
            continue
        drawing.brace(x, begin, end, left=True)
        middle = (begin + end) / 2
        drawing.paper.lines((size.margin + size.blocks - size.font * 0.2, middle), lines, size.font, anchor="end")


def _blocked(drawing: Drawing) -> Iterator[tuple[float, float, str]]:
    figure, scene = drawing.figure, drawing.figure.scene
    if figure.polls:
        yield drawing.begin, drawing.y(scene.message.read), f"process calls {figure.polls.name} again and again (polling)"
    elif at_start := scene.sleep_at_start:
        call: Call = at_start[0]
        yield drawing.begin, drawing.y(call.exit), f"process blocks in {call.name}"
