"""Labs and the comparison, run one after the other, with the verdict of each check: what `claims --run` shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import labs
from labs.kit.lab import Lab
from probes.capture.privileges import need_privileges
from probes.errors import CannotTrace, LabBroken
from probes.measure.result import Check, Verdict, worst
from runs import compare
from runs import lab as run

Progress = Callable[[str], None]
Judged = dict[str, dict[str, Check]]  # lab (or "compare") -> name of the check -> verdict and evidence
COMPARE = compare.COMPARE


def judge(names: Iterable[str], progress: Progress) -> tuple[Judged, str]:
    """The checks of all these labs (COMPARE: the comparison), and the worst verdict. The checks of a lab that this machine
    can't run are `unavailable`, those of a lab that broke are `inconclusive`, and the other labs run. Raises CannotTrace where
    nothing can be traced.
    """
    need_privileges()
    judged: Judged = {}
    verdicts = []
    for name in names:
        if name == COMPARE:
            progress(name)
            found = compare.compare(compare.TRAFFIC, lambda _words: None)
            judged[name] = {check.name: check for check in found.checks}
            verdicts.append(found.verdict)
            continue
        progress(f"lab {name}")
        lab = labs.find(name)
        try:
            result = run.measure_and_check(run.record(name, lab.traffic, lambda _words: None))
        except CannotTrace as error:
            if not run.lacks(lab):  # the machine can run no lab
                raise
            judged[name] = _none(lab, Verdict.UNAVAILABLE, error.problem)
        except LabBroken as error:
            judged[name] = _none(lab, Verdict.INCONCLUSIVE, error.problem)
            verdicts.append("inconclusive")
        else:
            judged[name] = {check.name: check for check in result.checks}
            verdicts.append(result.verdict)
    return judged, worst(verdicts)


def _none(lab: Lab, verdict: Verdict, why: str) -> dict[str, Check]:
    return {name: Check(name, claims, verdict, why) for name, claims, _function in lab.checks}
