"""The templates of the pages, and the words that they need. Jinja2 is loaded where a page is written, and nowhere else."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from probes.measure.queues import place
from probes.words import count, visible_lines
from reports.figures import style
from reports.html import bars
from reports.words import duration, milliseconds, share, with_command_name

_FOLDER = Path(__file__).parent / "templates"


def render(template: str, content: dict[str, Any]) -> str:
    """A page. What programs and recordings put into it is escaped, and its control characters are made visible."""
    return _environment().get_template(template).render(content)


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        finalize=_visible,
    )  # fmt: skip
    environment.filters |= {
        "duration": duration,
        "ms": milliseconds,
        "place": place,
        "commands": with_command_name,
        "sentence": lambda text: text[:1].upper() + text[1:],
    }
    environment.globals |= {
        "count": count,
        "share": share,
        "legend": bars.legend,
        "strip": bars.of_message,
        "STATES": bars.STATES,
        "WAY": bars.WAY,
        "figure_style": Markup(style.STYLE + style.BAR_STYLE),
        "page_style": Markup((_FOLDER / "page.css").read_text()),
        "timeline_style": Markup((_FOLDER / "timeline.css").read_text()),
        "timeline_script": Markup((_FOLDER / "timeline.js").read_text()),
        "script": Markup((_FOLDER / "page.js").read_text()),
    }
    return environment


def _visible(value: Any) -> Any:
    return visible_lines(value) if isinstance(value, str) and not isinstance(value, Markup) else value
