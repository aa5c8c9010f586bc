"""`invoke claims`: the statements about I/O models, and the checks that test them."""

from __future__ import annotations

from commands import options, outputs, process

HELP = options.REPORT_HELP | {"run": "run every lab first, and show the verdicts"}


def claims(run: bool = False, json: bool = False, out: str = "") -> int:
    """List every claim about the I/O models with the checks that test it."""
    outputs.check(out)
    if run:
        process.need_tracing()
    import labs as rooms
    from reports import catalogue
    from runs import catalogue as entries
    from runs import every

    judged, verdict = every.judge([*rooms.names(), every.COMPARE], outputs.progress) if run else (None, "pass")
    with outputs.output(out) as file:
        catalogue.write_claims(entries.all_claims(judged), file, json)
    return outputs.VERDICT_CODES[verdict]
