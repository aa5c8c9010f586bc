"""--predict and --answers: the user's answers before a lab shows anything."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from probes.errors import WrongUsage

if TYPE_CHECKING:
    from probes.context import Answers

HELP = {
    "predict": "first ask what the lab will show, then mark the answers; the answers do not change the exit status",
    "answers": 'mark the answers in this file (- is stdin), a JSON object such as {"calls": "b"};'
    " --questions of invoke lab prints the questions",
}


def predicted(lab: str | None, about: str, seed: int, predict: bool, answers: str) -> Answers | None:
    """The user's answers before a lab shows anything: from a file, or from the terminal. None without --predict and --answers.

    `about` is the lab's traffic in words.
    """
    from probes.context import Answers
    from runs import predict as predicting

    if not predict and not answers:
        return None
    if lab is None:
        raise WrongUsage("only labs have questions, and this is a trace", "show it without --predict and --answers")
    asked = predicting.questions(lab, seed)
    if answers:
        predicted_answers = predicting.answers(asked, predicting.read(answers))
    elif sys.stdin.isatty() and sys.stderr.isatty():
        import labs
        from reports.terminal import prediction
        from reports.terminal.screen import screen

        out = screen(sys.stderr)
        prediction.introduce(lab, labs.find(lab).question, about, out)
        predicted_answers = prediction.ask(asked, sys.stdin.readline, out)
    else:
        raise WrongUsage(
            "--predict needs a terminal for its questions",
            f"invoke lab {lab} --questions prints the questions, --answers FILE takes the answers",
        )
    return Answers(seed, predicted_answers)
