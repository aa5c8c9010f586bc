"""Which questions belong to a lab.

A lab does not ask a question if the name of the lab contains the answer: no student has to predict that a thread of lab epoll
sleeps in epoll_wait.
"""

from __future__ import annotations

import re

import labs
from labs.kit.questions.question import Question
from labs.kit.questions.server import AWAKE, CALLS, COPIES, ORDER, READERS, SLEEPS, WAITS_IN, WOKEN_BY


def of(name: str) -> tuple[list[Question], list[Question]]:
    """The questions of a lab: the questions that are always asked, and those from which a seed chooses some."""
    lab = labs.find(name)
    if not lab.server:
        return [], [question for question in lab.questions if sum(name in option for option in question.options) != 1]
    always, some = [WAITS_IN, CALLS, COPIES], [WOKEN_BY, SLEEPS, READERS, ORDER, AWAKE, *lab.questions]
    unnamed = [[question for question in questions if not named(question, name)] for questions in (always, some)]
    return unnamed[0], unnamed[1]


def named(question: Question, name: str) -> str:
    """The option that a name gives away: the only option with a word of the name. "" if there is no such option."""
    words = re.split(r"[^a-z0-9]+", name.lower())
    like = [option for option in question.options if any(_word(word, option) for word in words if len(word) > 2)]
    return like[0] if len(like) == 1 else ""


def _word(word: str, option: str) -> bool:
    return any(token.startswith(word) for token in re.split(r"[^a-z0-9]+", option.lower()))
