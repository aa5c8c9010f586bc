"""The visual language of all figures: colours and strokes of what a thread does, for light and dark paper, and for print.

A stroke differs in pattern and in width, too, so that a figure can be read in black and white.
"""

from __future__ import annotations

from findings.figure import Doing

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
_SHAPES = """\
.figure .l{fill:none;stroke:@ink;stroke-width:1.3}
.figure .hit{fill:none;stroke:transparent;stroke-width:16;pointer-events:stroke}
.figure text{fill:@ink}
.figure text.soft{fill:@soft}
.figure .paper{fill:@paper}
.figure .rule{stroke:@rule}
.figure .lead{stroke:@rule;stroke-width:.9}
.figure .dash{stroke-dasharray:4 4}
.figure .head{fill:@ink;stroke:none}
"""


def _rules(dark: bool) -> str:
    rules = _SHAPES
    for name in CLASSES.values():
        rules += f".figure .l.{name}{{stroke:@{name};{_STROKES[name]}}}\n"
    for name in (*CLASSES.values(), "preempted", "held"):
        rules += f".figure .f-{name}{{fill:@{name}}}\n.figure text.{name}{{fill:@{name}}}\n"
    rules += ".figure .head.runq{fill:@runq}\n.figure .l.thin{stroke-width:1.6;stroke-dasharray:none}\n"
    for name, colours in sorted(COLOURS.items(), key=lambda colour: -len(colour[0])):
        rules = rules.replace(f"@{name}", colours[dark])
    return rules


STYLE = f"{_rules(False)}@media screen and (prefers-color-scheme:dark){{\n{_rules(True)}}}\n"
