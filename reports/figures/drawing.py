"""A figure while it is drawn: the paper, and where a moment lies on it."""

from __future__ import annotations

from dataclasses import dataclass

from findings.pictures.figure import Doing, Figure
from probes.kernel import syscalls
from probes.measure.result import Call
from probes.words import count
from reports.figures.paper import Paper
from reports.figures.sizes import Size
from reports.words import duration

ZIGZAG = 5.0  # half the width of a break


@dataclass
class Drawing:
    """The paper with the figure's scale: `head` is where the lanes begin, `top` where the part begins that is to scale."""

    paper: Paper
    figure: Figure
    size: Size
    head: float
    top: float
    room: float
    begin: float = 0.0  # where the message's story begins, after the registration

    @property
    def bottom(self) -> float:
        """Where the lanes end."""
        return self.top + self.room + self.size.line * 0.6

    def y(self, at: int) -> float:
        """The height of a moment; for one before or after the picture that of its start or end."""
        scene = self.figure.scene
        inside = min(max(at, scene.start), scene.end) - scene.start
        return self.top + inside * self.room / max(scene.end - scene.start, 1)

    def moment(self, at: int) -> str:
        """A moment in words, after the data was ready."""
        ns = at - self.figure.scene.message.ready
        return duration(ns)

    def arrow(self, height: float, into_kernel: bool, tip: str) -> None:
        """A call or its return."""
        size = self.size
        ends = [(size.application, height), (size.kernel, height)]
        start, end = ends if into_kernel else reversed(ends)
        self.paper.arrow(start, end, "", tip)

    def broken(self, lane: float, begin: float, end: float, kind: str, tip: str) -> None:
        """A stretch of the path that is not to scale, with a break in its middle."""
        middle = (begin + end) / 2
        self.paper.line([(lane, begin), (lane, middle - 4)], kind, tip)
        self.paper.line([(lane, middle + 4), (lane, end)], kind, tip)
        for shift in (-4, 4):
            points = [(lane - 2 * ZIGZAG, middle + shift + 3), (lane - ZIGZAG, middle + shift - 3),
                      (lane + ZIGZAG, middle + shift + 3), (lane + 2 * ZIGZAG, middle + shift - 3)]  # fmt: skip
            self.paper.line(points, "")

    def brace(self, x: float, begin: float, end: float, left: bool) -> None:
        """A brace whose tip points to its words."""
        side, deep = (-1 if left else 1), self.size.font * 0.42
        middle, curve = (begin + end) / 2, min(deep, (end - begin) / 4)
        inner, tip = x, x + side * 2 * deep
        spine = x + side * deep
        self.paper.curve(
            f"M{inner:.1f} {begin:.1f}Q{spine:.1f} {begin:.1f} {spine:.1f} {begin + curve:.1f}V{middle - curve:.1f}"
            f"Q{spine:.1f} {middle:.1f} {tip:.1f} {middle:.1f}Q{spine:.1f} {middle:.1f} {spine:.1f} {middle + curve:.1f}"
            f"V{end - curve:.1f}Q{spine:.1f} {end:.1f} {inner:.1f} {end:.1f}",
            "",
        )


def returns(call: Call) -> str:
    """What a call returns, as the textbook's arrows say it."""
    if call.errno:
        return call.errno
    if call.bytes and call.name in syscalls.READS:
        return f"return OK, {call.bytes:,} B"
    if call.result is None or call.result < 0:
        return "return"
    if call.name in syscalls.MULTIPLEXERS and call.result:
        return "return readable"
    if call.name in syscalls.SIGNAL_WAITS and call.result:
        return f"signal {call.result}"
    if call.name in syscalls.AIO_WAITS and call.result:
        return count(call.result, "completion")
    return f"return {call.result:,}"


def lane_of(doing: Doing, size: Size) -> float:
    """The lane of a state: in user code the thread is in the application."""
    return size.application if doing in (Doing.USER, Doing.POLLING) else size.kernel
