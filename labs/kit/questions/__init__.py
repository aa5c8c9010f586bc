"""Questions that a student answers before a lab shows anything. The run itself gives the right answer.

The rules know nothing of models: on the recording of another server the same question has that server's answer. A lab's own
questions stand in the lab's file (`LAB.ask`); here stands what several labs share.
"""

from __future__ import annotations

import labs
from labs.kit.questions.question import Question
from labs.kit.questions.server import AWAKE, CALLS, COPIES, ORDER, READERS, SLEEPS, WAITS_IN, WOKEN_BY


def of(name: str) -> tuple[list[Question], list[Question]]:
    """The questions of a lab: those that are always asked, and those of which a seed chooses some."""
    lab = labs.find(name)
    if not lab.server:
        return [], lab.questions
    return [WAITS_IN, CALLS, COPIES], [WOKEN_BY, SLEEPS, READERS, ORDER, AWAKE, *lab.questions]
