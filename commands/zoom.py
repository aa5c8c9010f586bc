"""The options --timeline, --from and --to, as each command has them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from findings.zoom import Zoom, moment
from probes.errors import WrongUsage

HELP = {
    "timeline": "show what each thread did at each moment of a part of the run, in place of the tables",
    "from": "where the timeline begins: 12ms, 1.5s, 800us after the start of the run; -5ms is 5 ms before its end",
    "to": "where the timeline ends, in the same form as --from",
}
# `from` is a word of Python; invoke leaves out the underscore.
_PARAMETERS = (("timeline", False, "bool"), ("from_", "", "str"), ("to", "", "str"))


def options(command: Callable[..., int]) -> Callable[..., int]:
    """Gives a command the options of its parameter `zoom`, which is None without --timeline."""

    @functools.wraps(command)
    def with_zoom(*values: Any, **options: Any) -> int:
        window = {name: options.pop(name) for name, _, _ in _PARAMETERS if name in options}
        return command(*values, **({"zoom": _zoom(**window)} if window else {}), **options)

    own = [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=kind)
        for name, default, kind in _PARAMETERS
    ]
    parameters = inspect.signature(command).parameters
    listed = [other for name, each in parameters.items() for other in (own if name == "zoom" else [each])]
    vars(with_zoom)["__signature__"] = inspect.Signature(listed)
    return with_zoom


def _zoom(timeline: bool = False, from_: str = "", to: str = "") -> Zoom | None:
    """The part that the user wants to see; --from and --to alone mean --timeline, too. Raises WrongUsage."""
    zoom = Zoom(moment("from", from_) if from_ else None, moment("to", to) if to else None)
    return zoom if timeline or zoom.named else None


def refuse_json(zoom: Zoom | None, json: bool) -> None:
    """Raises WrongUsage: the document has the sums of the run, and no timeline."""
    if zoom and json:
        raise WrongUsage(
            "--json has no timeline", "--csv and --sqlite write each call with its times, --perfetto writes a trace"
        )
