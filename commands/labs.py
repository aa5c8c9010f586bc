"""`invoke labs`: the catalogue."""

from __future__ import annotations

from commands import options, outputs

HELP = options.REPORT_HELP


def labs(json: bool = False, out: str = "") -> None:
    """List the labs, each with its question."""
    from reports import catalogue
    from runs import catalogue as entries

    with outputs.output(out) as file:
        catalogue.write_labs(entries.all_labs(), file, json)
