"""`invoke lab NAME`: one lab under the probes."""

from __future__ import annotations

import dataclasses
from typing import Any

import labs
from commands import exports, options, outputs, predicting, presenting, process
from commands import zoom as zooming
from findings.zoom import Zoom
from probes.errors import WrongUsage

HELP = (
    options.REPORT_HELP
    | options.HTML_HELP
    | exports.HELP
    | zooming.HELP
    | options.STACKS_HELP
    | predicting.HELP
    | options.TRAFFIC_HELP
    | options.LINK_HELP
    | options.SAVE_HELP
    | {
        "student": "your name in the recording; without it the login, if you give answers",
        "questions": "print the questions of --predict as JSON, without running the lab",
        "name": "the lab; invoke labs lists all labs",
        "gap-ms": "pause before each message, in milliseconds",
        "seed": "seed of the payloads, the pauses and the questions of --predict",
        "udp": "send datagrams instead of opening connections, if the model has a server for datagrams",
    }
)


@exports.options
@zooming.options
def lab(
    name: str,
    clients: str = "",
    messages: str = "",
    size: str = "",
    gap_ms: str = "",
    seed: str = "",
    udp: bool = False,
    link: str = "",
    json: bool = False,
    save: str = "",
    out: str = "",
    stacks: bool = False,
    html: str = "",
    predict: bool = False,
    questions: bool = False,
    answers: str = "",
    student: str = "",
    zoom: Zoom | None = None,
    files: exports.Exports = exports.NOTHING,
) -> int:
    """Run one lab: trace its server, and print a picture, a table of phases, and the checks."""
    outputs.progress(f"lab {labs.known(name)}")
    outputs.check(save, out, html)
    files.check()
    zooming.refuse_json(zoom, json)
    changed = options.numbers(clients=clients, messages=messages, size=size, gap_ms=gap_ms, seed=seed)
    traffic = _traffic(name, changed | ({"udp": True} if udp else {}), link)
    if questions:
        _write_questions(name, traffic.seed, out)
        return 0
    process.need_tracing()
    process.outlive_the_terminal(save)
    about = "" if _experiment(name) else traffic.words
    prediction = predicting.predicted(name, about, traffic.seed, predict, answers)
    recording = _record(name, traffic, link, prediction, student)
    result, failed = presenting.present(
        recording, json=json, save=save, out=out, view=presenting.View(stacks, zoom=zoom), html=html, exports=files
    )
    return failed or outputs.VERDICT_CODES[result.verdict]


def _record(name: str, traffic: Any, link: str, prediction: Any, student: str) -> Any:
    from runs import lab as run
    from runs import link as links
    from runs import origin

    handed_in = {"prediction": prediction, "origin": origin.here(student)} if prediction or student else {}
    with links.optional(link, outputs.progress) as between:
        recording = run.record(name, traffic, outputs.progress, between)
    return recording.with_context(**handed_in)


def _experiment(name: str) -> bool:
    return labs.find(name).experiment is not None


def _traffic(name: str, changed: dict[str, Any], link: str) -> Any:
    """The lab's traffic, changed by the options. Raises WrongUsage for a lab without clients."""
    wanted = labs.find(name)
    if wanted.experiment and (link or set(changed) - {"seed"}):
        raise WrongUsage(
            f"lab {name} is an experiment without clients",
            "leave out the options of traffic: --clients, --size, --link ...",
        )
    return dataclasses.replace(wanted.traffic, **changed)


def _write_questions(name: str, seed: int, out: str) -> None:
    from reports import questions
    from runs import predict

    with outputs.output(out) as file:
        questions.write(name, seed, predict.questions(name, seed), file)
