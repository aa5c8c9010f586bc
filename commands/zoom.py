"""The options --timeline, --from and --to, as each command has them."""

from __future__ import annotations

from commands.options import group
from findings.zoom import Zoom, moment
from probes.errors import WrongUsage

HELP = {
    "timeline": "show what each thread did at each moment of a part of the run, in place of the tables",
    "from": "where the timeline begins: 12ms, 1.5s, 800us after the start of the run; -5ms is 5 ms before its end",
    "to": "where the timeline ends, in the same form as --from",
}


def _zoom(timeline: bool = False, from_: str = "", to: str = "") -> Zoom | None:
    """The part that the user wants to see; --from and --to alone mean --timeline, too. Raises WrongUsage."""
    zoom = Zoom(moment("from", from_) if from_ else None, moment("to", to) if to else None)
    return zoom if timeline or zoom.named else None


# `from` is a word of Python; the command line leaves out the underscore.
options = group("zoom", {"timeline": False, "from_": "", "to": ""}, _zoom)


def refuse_json(zoom: Zoom | None, json: bool) -> None:
    """Raises WrongUsage: the document has the sums of the run, and no timeline."""
    if zoom and json:
        raise WrongUsage(
            "--json has no timeline", "--csv and --sqlite write each call with its times, --perfetto writes a trace"
        )
