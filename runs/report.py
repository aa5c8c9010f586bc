"""All that a report shows of one run, computed once: the result, its picture, its cases, the marked answers."""

from __future__ import annotations

from dataclasses import dataclass

import labs
from findings import scene, side_by_side, summary
from findings.scene import Scene
from findings.side_by_side import CaseReport
from findings.summary import MessageFigures, ReadyListFigures
from probes.context import CasesRun, LabRun
from probes.measure.result import Result
from runs import predict
from runs.predict import Prediction


@dataclass(frozen=True)
class Report:
    """One run, ready to be shown in any form. `picture` is None where the lab shows none, or no message arrived."""

    result: Result
    messages: MessageFigures
    ready_list: ReadyListFigures | None
    picture: Scene | None
    cases: tuple[CaseReport, ...]
    prediction: Prediction | None


def report(result: Result) -> Report:
    """The report on a result."""
    context = result.context
    pictured = isinstance(context, LabRun) and not isinstance(context, CasesRun) and labs.find(context.lab).picture
    return Report(
        result=result,
        messages=summary.messages(result),
        ready_list=summary.ready_list(result),
        picture=scene.choose(result) if pictured else None,
        cases=side_by_side.cases(result),
        prediction=predict.mark(result),
    )
