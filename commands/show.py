"""`invoke show FILE`: a saved recording again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from commands import exports, options, outputs, predicting, presenting
from commands import zoom as zooming
from findings.zoom import Zoom
from probes.errors import WrongUsage
from probes.words import count

if TYPE_CHECKING:
    from probes.recording import Recording

_SHOWN = 75_000  # calls and sleeps: a report with so many takes 3 s and 400 MB, even if the file has millions

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
        "details": "how many calls and sleeps of a trace to read, from its beginning on, or all (default: 75,000; for files for"
        " other programs, all). Counts and sums are exact in any case",
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
    details: str = "",
    predict: bool = False,
    answers: str = "",
    seed: str = "",
    zoom: Zoom | None = None,
    files: exports.Exports = exports.NOTHING,
) -> int:
    """Print the report of a saved recording, without root and without BCC."""
    from probes.context import LabRun, TrafficRun, lab_of

    outputs.check(out, html)
    files.check()
    zooming.refuse_json(zoom, json)
    view = presenting.view(stacks, brief, thread, calls, fd, slowest, port)._replace(zoom=zoom)
    recording = _loaded(file, _budget(details, files))
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


def _loaded(file: str, most_details: int | None) -> Recording:
    """Reads the recording. Prints on stderr how many calls it leaves out, and whether the seal is broken."""
    from probes.recording import load
    from probes.seal import State

    recording = load(Path(file), most_details)
    if recording.left_out:
        words = f"this report leaves out the details of {count(recording.left_out, 'call')} in {file}"
        outputs.progress(f"{words}: --details all reads all of them, which takes about 1 s and 50 MB per 50,000 calls")
    if recording.seal.state in (State.BROKEN, State.LATE):
        outputs.progress(f"the seal of {file} is broken: the file was changed after the run")
    return recording


def _budget(details: str, files: exports.Exports) -> int | None:
    """How many calls and sleeps to read; None: all. Raises WrongUsage."""
    if details == "all" or (not details and files != exports.NOTHING):
        return None
    wanted = options.number("details", details.replace(",", "")) if details else _SHOWN
    if wanted < 0:
        raise WrongUsage(f"--details {details} is below 0", "a number of calls, or all")
    return int(wanted)
