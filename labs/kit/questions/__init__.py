"""What is asked about a lab before it shows anything: questions whose truth is found in the run itself.

The rules know nothing of models: on the recording of another server the same question has that server's truth.
"""

from __future__ import annotations

import labs
from labs.kit.questions import cases, sections, server
from labs.kit.questions.question import Question


def of(name: str) -> tuple[list[Question], list[Question]]:
    """The questions of a lab: those that are always asked, and those of which a seed chooses some."""
    lab = labs.find(name)
    if lab.experiment:
        return [], list(sections.EXPERIMENTS.get(name, ()))
    if lab.cases:
        names = [one.name for one in lab.cases]
        return [], list(cases.SIDE_BY_SIDE.get(name) or [cases.latest(*names), *(server.WAITS_IN.at(one) for one in names)])
    return [server.WAITS_IN, server.CALLS, server.COPIES], [
        server.WOKEN_BY, server.SLEEPS, server.READERS, server.ORDER, server.AWAKE,
    ]  # fmt: skip
