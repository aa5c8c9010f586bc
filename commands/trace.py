"""`invoke trace -- CMD ARGS`: any program under the probes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from commands import exports, following, options, outputs, presenting, process
from commands import zoom as zooming
from findings.zoom import Zoom
from probes.errors import WrongUsage

HELP = (
    options.REPORT_HELP
    | options.HTML_HELP
    | exports.HELP
    | zooming.HELP
    | options.STACKS_HELP
    | options.VIEW_HELP
    | options.SAVE_HELP
    | following.HELP
    | {
        "details": "how many calls and sleeps to record one by one (default: 50,000): all from the start, then samples; all or"
        " none. Counts and sums are exact in any case",
        "pid": "join this running process, with its threads and its descendants; the process goes on afterwards",
        "seconds": "end the recording after this many seconds (with --pid)",
    }
)


@exports.options
@zooming.options
@following.options
def trace(
    json: bool = False,
    save: str = "",
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
    pid: str = "",
    seconds: str = "",
    zoom: Zoom | None = None,
    choice: following.Choice = following.NOTHING,
    files: exports.Exports = exports.NOTHING,
    *,
    rest: list[str],
) -> int:
    """Trace any program: invoke trace -- CMD ARGS, or --pid N. The report goes to stderr; stdout belongs to the program."""
    _check_target(rest, pid, seconds)
    outputs.check(save, out, html)
    files.check()
    zooming.refuse_json(zoom, json)
    choice.check(json, out)
    view = presenting.view(stacks, brief, thread, calls, fd, slowest, port)._replace(zoom=zoom)
    process.need_tracing()
    with following.lines(choice, view, "" if json else out) as (lines, file):
        traced = _traced(rest, pid, seconds, _budget(details), save, lines, functools.partial(presenting.load_ahead, json))
        result, failed = presenting.present(
            traced.recording, json=json, save="", out="" if choice.follow and not json else out, view=view, html=html,
            exports=files, default=file, unsaved=traced.error, silent=choice.quiet,
        )  # fmt: skip
    return failed or (traced.status if result.verdict != "inconclusive" else outputs.VERDICT_CODES["inconclusive"])


def _traced(
    command: list[str],
    pid: str,
    seconds: str,
    budget: int | None,
    save: str,
    lines: Any,
    meanwhile: Callable[[], object],
) -> Any:
    """Runs the command, or joins the process, under the probes."""
    from runs import trace as tracing
    from runs.signals import HeldSignals

    process.outlive_the_terminal(save)
    signals = HeldSignals()
    if pid:
        limit = float(options.number("seconds", seconds)) if seconds else None
        traced = tracing.join(options.number("pid", pid), limit, outputs.progress, signals, budget, save, lines)
    else:
        traced = tracing.run(command, outputs.progress, process.closed_at_start(), signals, budget, save, lines, meanwhile)
    signals.release()
    return traced


def _check_target(command: list[str], pid: str, seconds: str) -> None:
    """Raises WrongUsage unless either a command or a process is named."""
    if not command and not pid:
        raise WrongUsage("trace needs a program to run", "invoke trace -- CMD ARGS, for example: invoke trace -- ls -l")
    if command and pid:
        raise WrongUsage("trace takes a program or --pid, not both", "invoke trace -- CMD ARGS, or invoke trace --pid N")
    if seconds and not pid:
        raise WrongUsage("--seconds goes with --pid", "a program that trace starts is traced until it ends")
    if seconds and not options.number("seconds", seconds) > 0:
        raise WrongUsage(f"--seconds {seconds} is not above 0", "invoke trace --pid N --seconds 10")


def _budget(details: str) -> int | None:
    """The value of --details as Instrument takes it. Raises WrongUsage."""
    from probes.capture.details import DETAILS

    if details in ("all", "none"):
        return None if details == "all" else 0
    wanted = options.number("details", details.replace(",", "")) if details else DETAILS
    if wanted < 0:
        raise WrongUsage(f"--details {details} is below 0", "a number of calls, all or none")
    return int(wanted)
