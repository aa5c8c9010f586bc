"""A figure as SVG: lines, areas and texts, each with a tooltip where figures stand behind it.

Every text is remembered with its box, so that a test can see whether two texts overlap or a text leaves the paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree

from probes.words import visible
from reports.figures.letters import FONTS, LINE, width
from reports.figures.style import STYLE

Point = tuple[float, float]
Anchor = Literal["start", "middle", "end"]
_SHIFT = {"start": 0.0, "middle": 0.5, "end": 1.0}
_ASCENT = 0.80  # of a line above the letters' base, in sizes of the font


@dataclass(frozen=True)
class Box:
    """Where a line of text stands."""

    left: float
    top: float
    right: float
    bottom: float
    text: str

    def overlaps(self, other: Box) -> bool:
        """Do the two share more than an edge?"""
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.bottom, other.bottom) - max(self.top, other.top)
        return across > 0.5 and down > 0.5


class Paper:
    """One SVG under the pen."""

    def __init__(self, size: Point, title: str, description: str) -> None:
        self.width, self.height = size
        self.boxes: list[Box] = []
        named = {"xmlns": "http://www.w3.org/2000/svg", "role": "img", "aria-label": visible(title)}
        self._root = ElementTree.Element("svg", named)
        ElementTree.SubElement(self._root, "desc").text = visible(description)

    def line(self, points: Sequence[Point], kind: str, tip: str = "") -> None:
        """A line through the points. A tooltip gets a wide invisible line to be hit by mouse and finger."""
        where = "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in points)
        self._add("path", {"d": where, "class": f"l {kind}"}, "")
        if tip:
            self._add("path", {"d": where, "class": "hit"}, tip)

    def curve(self, path: str, kind: str, tip: str = "") -> None:
        """A line by an SVG path."""
        self._add("path", {"d": path, "class": f"l {kind}"}, tip)

    def area(self, points: Sequence[Point], kind: str) -> None:
        """A filled polygon."""
        self._add("polygon", {"points": " ".join(f"{_n(x)},{_n(y)}" for x, y in points), "class": kind}, "")

    def rectangle(self, corner: Point, size: Point, kind: str, tip: str = "") -> None:
        """A filled rectangle."""
        (x, y), (wide, high) = corner, size
        self._add("rect", {"x": _n(x), "y": _n(y), "width": _n(wide), "height": _n(high), "class": kind}, tip)

    def arrow(self, start: Point, end: Point, kind: str, tip: str = "") -> None:
        """A line with a head at its end."""
        (x0, y0), (x1, y1) = start, end
        length = max(((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5, 0.1)
        u, v = (x1 - x0) / length, (y1 - y0) / length
        self.line([start, (x1 - 5 * u, y1 - 5 * v)], kind, tip)
        self.area([(x1, y1), (x1 - 8 * u - 3.6 * v, y1 - 8 * v + 3.6 * u), (x1 - 8 * u + 3.6 * v, y1 - 8 * v - 3.6 * u)],
                  f"head {kind}")  # fmt: skip

    def text(self, at: Point, words: str, size: float, kind: str = "", anchor: Anchor = "start", bold: bool = False) -> None:
        """A line of text; `at` is the middle of its height."""
        words = visible(words)
        wide = width(words, size, bold)
        left, middle = at[0] - _SHIFT[anchor] * wide, at[1]
        self.boxes.append(Box(left, middle - size * LINE / 2, left + wide, middle + size * LINE / 2, words))
        named = {"x": _n(at[0]), "y": _n(middle - size * LINE / 2 + size * (LINE - 1) / 2 + size * _ASCENT)}
        named |= {"font-size": _n(size)} | ({"class": kind} if kind else {})
        named |= ({"text-anchor": anchor} if anchor != "start" else {}) | ({"font-weight": "bold"} if bold else {})
        self._add("text", named, "").text = words

    def lines(self, at: Point, words: Sequence[str], size: float, kind: str = "", anchor: Anchor = "start",
              bold_first: bool = False) -> None:  # fmt: skip
        """Lines of text below each other; `at` is the middle of their common height."""
        top = at[1] - len(words) * size * LINE / 2
        for number, line in enumerate(words):
            middle = top + (number + 0.5) * size * LINE
            self.text((at[0], middle), line, size, kind, anchor, bold_first and not number)

    def _add(self, tag: str, named: dict[str, str], tip: str) -> ElementTree.Element:
        element = ElementTree.SubElement(self._root, tag, named)
        if tip:
            ElementTree.SubElement(element, "title").text = visible(tip)
        return element

    def svg(self, alone: bool) -> str:
        """The SVG as text: `alone` with its styles and a background, for a file of its own; else to stand in a page."""
        root = ElementTree.Element("svg", dict(self._root.attrib))
        root.set("viewBox", f"0 0 {_n(self.width)} {_n(self.height)}")
        root.set("font-family", FONTS)
        root.set("class", "figure")
        children = list(self._root)
        if alone:
            root.set("width", _n(self.width))
            root.set("height", _n(self.height))
            style = ElementTree.Element("style")
            style.text = STYLE
            paper = ElementTree.Element("rect", {"width": "100%", "height": "100%", "class": "paper"})
            children = [*children[:1], style, paper, *children[1:]]
        root.extend(children)
        return ElementTree.tostring(root, encoding="unicode") + "\n"


def _n(value: float) -> str:
    """A number with no more digits than a screen can show."""
    return f"{value:.1f}".rstrip("0").rstrip(".")
