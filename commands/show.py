"""`invoke show FILE`: a saved recording again."""

from __future__ import annotations

from pathlib import Path

from commands import shared

HELP = (
    shared.ANSWER_HELP
    | shared.STACKS_HELP
    | shared.PREDICT_HELP
    | {"file": "a recording made by --save", "seed": "seed of the questions of --predict; by default the seed of the recording"}
)


def show(
    file: str,
    json: bool = False,
    out: str = "",
    stacks: bool = False,
    predict: bool = False,
    answers: str = "",
    seed: str = "",
) -> int:
    """Print the report of a saved recording, without root and without BCC."""
    from probes.recording import load

    shared.check(out)
    recording = load(Path(file))
    context = recording.context
    recorded = (context.get("prediction") or context.get("traffic") or {}).get("seed", 1)
    number = shared.number("seed", seed) if seed else recorded
    said = shared.predicted(context.get("lab"), context.get("traffic_words", ""), number, predict, answers)
    result, failed = shared.present(recording.with_context(**said), json=json, save="", out=out, stacks=stacks)
    return failed or shared.VERDICT_CODES[result.verdict]
