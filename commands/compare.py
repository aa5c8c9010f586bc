"""`invoke compare`: every model on the same traffic."""

from __future__ import annotations

import dataclasses

from commands import options, outputs, process
from probes import files

HELP = options.REPORT_HELP | options.HTML_HELP | options.TRAFFIC_HELP | options.LINK_HELP
_TIMELINE = "invoke lab epoll --timeline shows the threads of one model; --html FILE draws a message of each model"
_ONE_RUN = "invoke lab epoll --{} writes the run of one model"
ELSEWHERE = dict.fromkeys(("timeline", "from", "to"), _TIMELINE) | {
    name: _ONE_RUN.format(f"{name} {'FOLDER' if name == 'csv' else 'FILE'}")
    for name in ("save", "csv", "sqlite", "perfetto", "speedscope", "folded")
}


def compare(
    clients: str = "",
    messages: str = "",
    size: str = "",
    link: str = "",
    json: bool = False,
    out: str = "",
    html: str = "",
    *,
    rest: list[str],
) -> int:
    """Run every model on the same traffic and print one table of all models; or only the models that are named.

    invoke compare epoll select puts the pictures and the figures of two models beside each other.
    """
    outputs.check(out, html)
    process.need_tracing()
    from reports import comparison
    from runs import compare as comparing
    from runs import link as links

    changed = options.numbers(clients=clients, messages=messages, size=size)
    traffic = dataclasses.replace(comparing.TRAFFIC, **changed)
    with links.optional(link, outputs.progress) as between:
        comparison_result = comparing.compare(traffic, outputs.progress, between, rest)
    with outputs.output(out) as file:
        comparison.write(comparison_result, file, json)
    if html:
        from reports.html import comparison as page

        with files.whole(html) as file:
            page.write(comparison_result, file)
    return outputs.VERDICT_CODES[comparison_result.verdict]
