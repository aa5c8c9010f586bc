"""`invoke compare`: every model on the same traffic."""

from __future__ import annotations

import dataclasses

from commands import shared

HELP = shared.REPORT_HELP | shared.TRAFFIC_HELP | shared.LINK_HELP


def compare(clients: str = "", messages: str = "", size: str = "", link: str = "", json: bool = False, out: str = "") -> int:
    """Run every model on the same traffic and print one table of all models."""
    shared.check(out)
    shared.need_tracing()
    from reports import comparison
    from runs import compare as comparing
    from runs import link as links

    changed = shared.numbers(clients=clients, messages=messages, size=size)
    traffic = dataclasses.replace(comparing.TRAFFIC, **changed)
    with links.optional(link, shared.progress) as between:
        comparison_result = comparing.compare(traffic, shared.progress, between)
    with shared.output(out) as file:
        comparison.write(comparison_result, file, json)
    return shared.VERDICT_CODES[comparison_result.verdict]
