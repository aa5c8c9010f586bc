"""`invoke show FILE`: a saved recording again."""

from __future__ import annotations

from pathlib import Path

from commands import exports, options, outputs, predicting, presenting
from commands import zoom as zooming
from findings.zoom import Zoom

HELP = (
    options.REPORT_HELP
    | options.HTML_HELP
    | exports.HELP
    | zooming.HELP
    | options.STACKS_HELP
    | options.VIEW_HELP
    | predicting.HELP
    | {
        "file": "a recording that --save wrote",
        "seed": "seed of the questions of --predict (default: that of the recording)",
    }
)


@exports.options
@zooming.options
def show(
    file: str,
    json: bool = False,
    out: str = "",
    thread: str = "",
    stacks: bool = False,
    brief: bool = False,
    calls: str = "",
    fd: str = "",
    port: str = "",
    slowest: str = "",
    html: str = "",
    predict: bool = False,
    answers: str = "",
    seed: str = "",
    zoom: Zoom | None = None,
    files: exports.Exports = exports.NOTHING,
) -> int:
    """Print the report of a saved recording, without root and without BCC."""
    from probes.context import LabRun, TrafficRun, lab_of
    from probes.recording import load
    from probes.seal import State

    outputs.check(out, html)
    files.check()
    zooming.refuse_json(zoom, json)
    view = presenting.view(stacks, brief, thread, calls, fd, slowest, port)._replace(zoom=zoom)
    recording = load(Path(file))
    if recording.seal.state in (State.BROKEN, State.LATE):
        outputs.progress(f"the seal of {file} is broken: the file was changed after the run")
    context = recording.context
    about, number = (context.traffic_words, context.traffic.seed) if isinstance(context, TrafficRun) else ("", 1)
    if isinstance(context, LabRun) and context.prediction:
        number = context.prediction.seed
    number = options.number("seed", seed) if seed else number
    prediction = predicting.predicted(lab_of(context), about, number, predict, answers)
    if prediction:
        recording = recording.with_context(prediction=prediction)
    result, failed = presenting.present(recording, json=json, save="", out=out, view=view, html=html, exports=files, again=True)
    return failed or outputs.VERDICT_CODES[result.verdict]
