"""The words of the labs: what a student reads is a statement, a question or a figure in the field's terms."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

import labs
from labs.claims import CLAIMS
from labs.kit.questions import asked as questions
from probes.recording import Recording
from runs import predict
from tests.conftest import measured

# Words of older versions, for which the field has terms of its own (notified, unread, EAGAIN, without result, polls).
PRIVATE = re.compile(
    r"\b(told|tells? of|in hand|l(ie|ay|ies) ready|in vain|fruitless|heard|whoever|whosever|nobody|somebody|anybody|so does"
    r"|calls an? (answer|message)|wished|a question in vain)\b",
    re.IGNORECASE,
)
NARROWEST = 80 - len("try next:  ") - len("./iolab") + len("invoke") - 2  # what a command and its reason share on one line


def texts(name: str) -> Iterator[str]:
    """All texts of a lab that are printed before it runs."""
    lab = labs.find(name)
    yield from (lab.question, lab.watch, *lab.try_next, *(check for check, _, _ in lab.checks))
    for question in (question for part in questions.of(name) for question in part):
        yield from (question.text, *question.options)


@pytest.mark.parametrize("name", labs.names())
def test_a_check_is_named_by_a_statement(name: str) -> None:
    for check, _, _ in labs.find(name).checks:
        assert not check.endswith(("?", ".")), f"{check!r}: its verdict must apply to a statement"
        assert len(check.split()) >= 4, f"{check!r} is a fragment: name the subject and what it does"


@pytest.mark.parametrize("name", labs.names())
def test_a_lab_speaks_in_the_terms_of_the_field(name: str, recorded: Callable[[str], Recording]) -> None:
    result = labs.find(name).judge(measured(name))
    asked = [question for part in questions.of(name) for question in part]
    said = [check.evidence for check in result.checks] + [mark.evidence for mark in predict.against(result, asked, {}, 1).marks]
    for text in (*texts(name), *said):
        assert not PRIVATE.search(text), text


@pytest.mark.parametrize("name", labs.names())
def test_what_to_try_next_fits_in_80_columns(name: str) -> None:
    lines = [line.partition("  ") for line in labs.find(name).try_next]
    longest = max(len(command) for command, _, _ in lines)
    for command, _, why in lines:
        assert longest + len(why.strip()) <= NARROWEST, f"{command}: {why.strip()!r} is too long beside the commands"


@pytest.mark.parametrize("name", labs.names())
def test_no_name_answers_a_question(name: str) -> None:
    """The right option is not the only option with a word of the lab's name, or of the name of the server in question."""
    asked = [question for part in questions.of(name) for question in part]
    for mark in predict.against(measured(name), asked, {}, 1).marks:
        case = mark.question.id.partition("@")[2]
        for words in filter(None, (name, case)):
            assert questions.named(mark.question, words) != mark.truth, f"{words}: {mark.question.text} {mark.truth}"


def test_a_name_that_answers_a_question_is_seen() -> None:
    from labs.kit.questions.server import READERS, WAITS_IN, WOKEN_BY

    assert questions.named(WAITS_IN, "epoll_edge") == "epoll_wait"
    assert questions.named(WAITS_IN, "signal_driven") == "a call that waits for signals"
    assert questions.named(WOKEN_BY, "select") == "" == questions.named(READERS, "threads")


def test_claims_speak_in_the_terms_of_the_field() -> None:
    for claim in CLAIMS.values():
        assert not PRIVATE.search(claim.text), claim.text


def test_private_words_are_seen() -> None:
    for text in ("75 messages were told of by epoll", "data lay ready", "so does epoll", "heard EAGAIN", "calls a message: 3"):
        assert PRIVATE.search(text)
    assert not PRIVATE.search("epoll_wait notified the thread of 75 messages; 3 reads got EAGAIN")
