"""`invoke grade MODEL -- CMD ARGS`: the points of one submission, by a rubric, in the formats of course platforms."""

from __future__ import annotations

import os

from commands import grading, options, outputs

HELP = (
    {"model": f"the I/O model that the server must have: {grading.MODELS}"}
    | grading.HELP
    | options.REPORT_HELP
    | options.HTML_HELP
    | {
        "rubric": "a TOML file with the points; docs/instructors.md has the format, runs/grading/rubrics has the defaults",
        "name": "the name of the submission; the traffic depends on it and on the seed",
        "folder": "the folder of the submission, where CMD starts (default: the current folder)",
    }
    | grading.FORMATS_HELP
)
ELSEWHERE = grading.ELSEWHERE


def grade(
    model: str, protocol: str = "", seed: str = "", rubric: str = "", name: str = "", folder: str = "",
    gradescope: str = "", junit: str = "", csv: str = "", annotations: bool = False, json: bool = False, out: str = "",
    html: str = "", *, rest: list[str],
) -> int:  # fmt: skip
    """Grade a server: invoke grade MODEL -- CMD ARGS. The same as check, with points, for code that nobody has read.

    The report goes to stderr. The server runs in namespaces of its own, as a user without rights, with a filter of system calls
    and with limits of time, memory, processes and disk.
    """
    from runs.grading import rubric as rubrics

    quiet = json and not out
    cautions: list[str] = []
    outputs.check(out, gradescope, junit, csv, html, tell=cautions.append if quiet else outputs.progress)
    points = grading.rubric_of(rubrics, model, rubric)
    place = os.path.abspath(folder or ".")  # noqa: PTH100 (a link stays a link)
    hidden = grading.secret(rubric, protocol)
    order = grading.Order(
        points, protocol, seed, tuple(rest), place, strict=True, name=name, hidden=hidden, quiet=quiet, notes=tuple(cautions)
    )
    formats = grading.Formats(gradescope=gradescope, junit=junit, csv=csv, annotations=annotations)
    return grading.run(order, json=json, out=out, points=True, html=html, more=formats.write)
