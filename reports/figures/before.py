"""What came before the part that is to scale: the registration, the EAGAINs, the call that put the thread to sleep."""

from __future__ import annotations

from findings.pictures.figure import Doing, Figure
from probes.measure.queues import place
from probes.measure.result import Call
from probes.words import times
from reports.figures.drawing import Drawing
from reports.figures.letters import cut, wrapped
from reports.figures.sizes import Size
from reports.figures.style import CLASSES
from reports.words import duration

_POLLS = 3  # drawn


def height(figure: Figure, size: Size) -> float:
    """How much room it needs."""
    lines = 10.5 if figure.polls else 7.0 if figure.asleep_since is not None else 1.0
    return (lines + (4.6 if set_up(figure) else 0)) * size.line


def set_up(figure: Figure) -> Call | None:
    """The registration that belongs to the model: FIONBIO where the thread polls, else one that announces data."""
    call = figure.set_up
    return call if call and (call.name != "ioctl" or figure.polls) else None


def draw(drawing: Drawing) -> None:
    """From the head of the lanes to the part that is to scale."""
    figure, size = drawing.figure, drawing.size
    at = drawing.head + size.line * 0.8
    if call := set_up(figure):
        at = _registration(drawing, call, at)
    drawing.begin = at
    if figure.polls:
        _polls(drawing, at)
    elif figure.asleep_since is not None:
        _sleep(drawing, at)
    else:
        first = figure.stretches[0].doing if figure.stretches else Doing.USER
        lane = size.application if first in (Doing.USER, Doing.POLLING) else size.kernel
        drawing.paper.line([(lane, at), (lane, drawing.top)], "dash")


def _registration(drawing: Drawing, call: Call, at: float) -> float:
    """The call, and the time since then as a break. Returns the height where the next part begins."""
    size, paper, message = drawing.size, drawing.paper, drawing.figure.scene.message
    since = duration(message.ready - call.exit)
    tip = f"{call.name} returned {since} before the data was ready"
    second = at + size.line * 1.4
    paper.line([(size.application, at - size.line * 0.5), (size.application, at)], CLASSES[Doing.USER])
    drawing.arrow(at, True, tip)
    paper.line([(size.kernel, at), (size.kernel, second)], CLASSES[Doing.KERNEL], tip)
    drawing.arrow(second, False, tip)
    _name(drawing, at, call.name)
    words = {"epoll_ctl": "EPOLL_CTL_ADD: epoll follows the socket", "fcntl": "O_ASYNC: the socket may send SIGIO",
             "ioctl": "FIONBIO: the socket is non-blocking"}  # fmt: skip
    _beside(drawing, (at + second) / 2, words.get(call.name, "registers the descriptor"), "")
    end = at + size.line * 4.6
    drawing.broken(size.application, second, end, CLASSES[Doing.USER], f"{since} later")
    return end


def _name(drawing: Drawing, at: float, name: str) -> None:
    size = drawing.size
    words = cut(name, size.font, size.names)
    drawing.paper.text((size.application - size.font * 0.8, at), words, size.font, anchor="end", bold=False)


def _beside(drawing: Drawing, at: float, words: str, kind: str) -> None:
    """A label right of the lanes, its middle at this height."""
    size = drawing.size
    lines = wrapped(words, size.font, size.times + size.labels)
    drawing.paper.lines((size.label, at), lines, size.font, kind)


def _polls(drawing: Drawing, at: float) -> None:
    """Some of the EAGAINs, then the break, and how many there were."""
    polls, size, paper = drawing.figure.polls, drawing.size, drawing.paper
    assert polls is not None
    user, kernel = CLASSES[Doing.USER], CLASSES[Doing.KERNEL]
    paper.line([(size.application, at - size.line * 0.5), (size.application, at)], user)
    for number in range(_POLLS):
        back = at + size.line * 1.15
        tip = f"{polls.name} without data: {polls.errno}"
        drawing.arrow(at, True, tip)
        drawing.arrow(back, False, tip)
        paper.line([(size.kernel, at), (size.kernel, back)], kernel)
        paper.text(((size.application + size.kernel) / 2, back - size.font * 0.62), polls.errno, size.small, anchor="middle")
        _name(drawing, at, polls.name)
        if not number:
            _beside(drawing, (at + back) / 2, "no data ready", "soft")
        at = back + size.line * 1.15
        if number < _POLLS - 1:
            paper.line([(size.application, back), (size.application, at)], user)
        else:
            at = back
    drawing.broken(size.application, at, drawing.top, user, "not to scale")
    words = f"{polls.errno} {times(polls.count)} in {duration(polls.ns)} on this socket"
    _beside(drawing, drawing.top - 2.6 * size.line, words, "polling")


def _sleep(drawing: Drawing, at: float) -> None:
    """The call, and the sleep that the client's message ends."""
    figure, size, paper = drawing.figure, drawing.size, drawing.paper
    at_start = figure.scene.sleep_at_start
    assert at_start is not None
    call, sleep = at_start
    tip = f"{call.name} began {duration(figure.scene.message.ready - call.enter)} before the data was ready"
    paper.line([(size.application, at - size.line * 0.5), (size.application, at)], CLASSES[Doing.USER])
    drawing.arrow(at, True, tip)
    paper.text(((size.application + size.kernel) / 2, at - size.font * 0.62), "system call", size.small, anchor="middle")
    _name(drawing, at, call.name)
    off = at + size.line * 0.9
    paper.line([(size.kernel, at), (size.kernel, off)], CLASSES[Doing.KERNEL], tip)
    asleep = duration(sleep.wait)
    where = place(sleep.queue)
    drawing.broken(size.kernel, off, drawing.top, CLASSES[Doing.ASLEEP], f"asleep {where}, {asleep} in all")
    no_data = "no data ready" if call in figure.scene.reads else "nothing ready"
    _beside(drawing, at, no_data, "soft")
    _beside(drawing, (off + drawing.top) / 2, f"asleep {where}, {asleep} in all", "asleep")
