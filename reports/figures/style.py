"""The visual language of all figures: colours and strokes of what a thread does, for light and dark paper, and for print.

A stroke differs in pattern and in width, too, so that a figure can be read in black and white.
"""

from __future__ import annotations

from findings.pictures.figure import Doing

# Each state's class in the SVG.
CLASSES = {
    Doing.ASLEEP: "asleep",
    Doing.RUN_QUEUE: "runq",
    Doing.KERNEL: "kernel",
    Doing.COPY: "copy",
    Doing.USER: "user",
    Doing.POLLING: "polling",
}
# (light, dark): each has a contrast of 4.5 or more on its paper.
COLOURS = {
    "ink": ("#1f2328", "#e6e6e6"),
    "soft": ("#57606a", "#a9b1ba"),
    "rule": ("#b6bdc5", "#5a626c"),
    "paper": ("#ffffff", "#16181c"),
    "asleep": ("#2563b0", "#7db4f5"),
    "runq": ("#9a5b00", "#f0b64a"),
    "kernel": ("#c0392b", "#ff8d7d"),
    "copy": ("#18792f", "#5ccf7c"),
    "user": ("#3c434a", "#d0d4d9"),
    "polling": ("#7a3ea8", "#c79bf0"),
    "preempted": ("#8b2f8b", "#e79be7"),
    "held": ("#0b3d7a", "#b9d6fb"),
}
_STROKES = {
    "asleep": "stroke-width:5;stroke-linecap:round;stroke-dasharray:.1 8",
    "runq": "stroke-width:6;stroke-dasharray:5 3",
    "kernel": "stroke-width:6",
    "copy": "stroke-width:15",
    "user": "stroke-width:2.5",
    "polling": "stroke-width:1.6",
}
_SHAPES = (
    """\
.figure .l{fill:none;stroke-width:1.3}
.figure .hit{fill:none;stroke:transparent;stroke-width:16;pointer-events:stroke}
.figure .lead{stroke-width:.9}
.figure .dash{stroke-dasharray:4 4}
.figure .head{stroke:none}
"""
    + "".join(f".figure .l.{name}{{{stroke}}}\n" for name, stroke in _STROKES.items())
    + """\
.figure .l.thin{stroke-width:1.6;stroke-dasharray:none}
"""
)
_COLOURED = """\
.figure .l{stroke:@ink}
.figure text,.figure .head{fill:@ink}
.figure text.soft{fill:@soft}
.figure .paper{fill:@paper}
.figure .rule,.figure .lead{stroke:@rule}
""" + "".join(
    f".figure .l.{name}{{stroke:@{name}}}\n.figure text.{name},.figure .head.{name}{{fill:@{name}}}\n" for name in _STROKES
)
# What bars and plots have and the figures have not.
_BAR_SHAPES = """\
.figure .l.range{stroke-width:1.3;stroke-dasharray:none;stroke-linecap:butt}
.figure .l.half{stroke-width:5;stroke-dasharray:none;stroke-linecap:butt}
.figure .l.none{stroke:none}
"""
_BAR_COLOURED = "".join(f".figure .f-{name}{{fill:@{name}}}\n" for name in (*_STROKES, "preempted", "held"))


def _in_colours(rules: str, dark: bool) -> str:
    for name, colours in sorted(COLOURS.items(), key=lambda colour: -len(colour[0])):
        rules = rules.replace(f"@{name}", colours[dark])
    return rules


def _sheet(shapes: str, coloured: str) -> str:
    """Light on screen and always on paper, dark on a screen that asks for it."""
    dark = f"@media screen and (prefers-color-scheme:dark){{\n{_in_colours(coloured, dark=True)}}}\n"
    return shapes + _in_colours(coloured, dark=False) + dark


STYLE = _sheet(_SHAPES, _COLOURED)
BAR_STYLE = _sheet(_BAR_SHAPES, _BAR_COLOURED)
