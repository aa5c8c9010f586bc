"""`invoke check MODEL -- CMD ARGS`: a server of your own, tried by clients and watched by the probes."""

from __future__ import annotations

from pathlib import Path

from commands import grading, options, outputs

MODEL_HELP = {"model": f"the I/O model that the server should have: {grading.MODELS}"}
HELP = MODEL_HELP | grading.HELP | options.REPORT_HELP | options.HTML_HELP
ELSEWHERE = grading.ELSEWHERE


def check(
    model: str, protocol: str = "", seed: str = "", json: bool = False, out: str = "", html: str = "", *, rest: list[str]
) -> int:
    """Check your own server: invoke check MODEL -- CMD ARGS. CMD learns its port from the word {port} or the variable PORT.

    Clients test the server: silent clients, slow clients, many clients, messages in pieces. The probes show whether the server
    uses the model, and where its threads wait.
    """
    from runs.grading import rubric as rubrics

    outputs.check(out, html)
    order = grading.Order(rubrics.default(model), protocol, seed, tuple(rest), str(Path.cwd()))
    return grading.run(order, json=json, out=out, points=False, html=html)
