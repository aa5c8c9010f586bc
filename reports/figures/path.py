"""The part of a figure that is to scale: the thread's path, the calls and returns, the packet, the wake-up."""

from __future__ import annotations

from findings.pictures.figure import Doing, Stretch
from reports.figures.drawing import Drawing, lane_of, returns
from reports.figures.style import CLASSES
from reports.words import duration

_WORDS = {
    Doing.ASLEEP: "asleep",
    Doing.RUN_QUEUE: "woken, waits for a CPU",
    Doing.KERNEL: "works in the kernel",
    Doing.COPY: "copies the data (upper bound)",
    Doing.USER: "user code",
    Doing.POLLING: "polls: user code and calls without data, in turn",
}


def draw(drawing: Drawing) -> None:
    """Everything between the application's lane and the network's."""
    for stretch in drawing.figure.stretches:
        _stretch(drawing, stretch)
    _calls(drawing)
    _packet(drawing)
    _wake_up(drawing)


def _stretch(drawing: Drawing, stretch: Stretch) -> None:
    size = drawing.size
    begin, end = drawing.y(stretch.begin), drawing.y(stretch.end)
    inside = f"{stretch.call.name}: " if stretch.call else ""
    tip = f"{inside}{_WORDS[stretch.doing]} for {duration(stretch.end - stretch.begin)}"
    lane = lane_of(stretch.doing, size)
    if stretch.doing is not Doing.POLLING:
        drawing.paper.line([(lane, begin), (lane, end)], CLASSES[stretch.doing], tip)
        return
    points, at, step = [(lane, begin)], begin, size.font * 0.32
    while at + 2 * step <= end:  # the recording has the number of these calls, and not the time of each
        points += [(size.kernel, at + step), (lane, at + 2 * step)]
        at += 2 * step
    drawing.paper.line([*points, (lane, end)], CLASSES[stretch.doing], tip)


def _calls(drawing: Drawing) -> None:
    """An arrow for each call that begins in the picture, and for each return."""
    scene = drawing.figure.scene
    for call in scene.calls:
        if call.enter >= scene.start:
            drawing.arrow(drawing.y(call.enter), True, f"{call.name} begins at {drawing.moment(call.enter)}")
        if call.exit <= scene.end:
            back = returns(call)
            took = f"{call.name}: {back} at {drawing.moment(call.exit)}, after {duration(call.total)}"
            drawing.arrow(drawing.y(call.exit), False, took)


def _packet(drawing: Drawing) -> None:
    """The client's send and the way of its data to the socket."""
    scene, size, paper = drawing.figure.scene, drawing.size, drawing.paper
    ready = drawing.y(scene.message.ready)
    if scene.sent is None:
        paper.arrow((size.net, ready), (size.kernel, ready), "dash", "the data arrives")
        return
    tip = f"the data reaches the socket {duration(scene.message.ready - scene.sent)} after the client called send"
    paper.arrow((size.net, drawing.y(scene.sent)), (size.kernel, ready), "", tip)


def _wake_up(drawing: Drawing) -> None:
    """From the data in the socket to the thread."""
    found = drawing.figure.scene.sleep_when_ready
    if found is None or found[1].waker is None:
        return
    size, sleep = drawing.size, found[1]
    begin, end = drawing.y(drawing.figure.scene.message.ready), max(drawing.y(sleep.woken), 0)
    x, bow = size.kernel, size.font * 1.3
    tip = f"wake-up: {sleep.waker.words} -> thread" if sleep.waker else ""
    end = max(end, begin + 6)
    drawing.paper.curve(f"M{x + 4:.1f} {begin:.1f}C{x + bow:.1f} {begin:.1f} {x + bow:.1f} {end:.1f} {x + 8:.1f} {end:.1f}",
                        "runq thin", tip)  # fmt: skip
    drawing.paper.area([(x + 2, end), (x + 9, end - 3.4), (x + 9, end + 3.4)], "head runq")
