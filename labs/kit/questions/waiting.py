"""Questions about how a server waits while connections are open: how many waits, how many asleep, how much of a core."""

from __future__ import annotations

from findings.sleeps.waiting import Waiting, waiting
from findings.view import Run
from labs.kit.questions.question import Question, Ranges, Truth, Undecided
from probes.words import count, ms


def _waiting(run: Run) -> tuple[Waiting, int]:
    found, messages = waiting(run), len(run.result.messages)
    if not found.span or not messages:
        raise Undecided(f"{count(messages, 'message')} in {ms(found.span)}")
    return found, messages


_MANY = Ranges((2.2, "1 or 2"), (6, "3 to 6"), (20, "7 to 20"), beyond="more than 20")


def _waits(run: Run) -> Truth:
    found, messages = _waiting(run)
    return Truth(_MANY(found.calls / messages), f"{count(found.calls, 'wait')} for {count(messages, 'message')}")


WAITS = Question(
    "waits",
    "How many calls of its multiplexer (select, poll or epoll_wait) does the server make per message?",
    _MANY.labels,
    _waits,
    ranges=True,
)

_SHARE = Ranges((0.1, "10 % or less"), (0.35, "10 to 35 %"), beyond="more than 35 %")


def _asleep(run: Run) -> Truth:
    found, _messages = _waiting(run)
    if not found.calls:
        raise Undecided("0 calls of a multiplexer")
    return Truth(_SHARE(found.asleep / found.calls), f"{found.asleep:,} of {count(found.calls, 'wait')} slept")


ASLEEP = Question(
    "asleep", "Of all calls of its multiplexer, how many sleep at least once?", _SHARE.labels, _asleep, ranges=True
)

_OFTEN = Ranges((3, "3 times or fewer"), (20, "4 to 20 times"), beyond="more than 20 times")


def _reported(run: Run) -> Truth:
    found, messages = _waiting(run)
    words = f"descriptors were reported ready {found.reported:,} times for {count(messages, 'message')}"
    return Truth(_OFTEN(found.reported / messages), words)


REPORTED = Question(
    "reported", "How often does the multiplexer report a descriptor ready, per message?", _OFTEN.labels, _reported, ranges=True
)

_CORE = Ranges((0.6, "60 % or less"), (0.85, "60 to 85 %"), beyond="more than 85 %: it takes a whole core, if it gets one")


def _runnable(run: Run) -> Truth:
    found, _messages = _waiting(run)
    words = f"not asleep for {found.runnable:.1%} of the {ms(found.span)} in which connections were open"
    return Truth(_CORE(found.runnable), words)


RUNNABLE = Question(
    "runnable",
    "While connections are open: for how much of the time is the thread not asleep?",
    _CORE.labels,
    _runnable,
    ranges=True,
)

_NOTHING = Ranges((0.1, "10 % or less"), (0.5, "10 to 50 %"), beyond="more than half")


def _without_result(run: Run) -> Truth:
    found, _messages = _waiting(run)
    if not found.calls:
        raise Undecided("0 calls of a multiplexer")
    return Truth(
        _NOTHING(found.without_result / found.calls), f"{found.without_result:,} of {count(found.calls, 'wait')} returned 0"
    )


WITHOUT_RESULT = Question(
    "without-result",
    "Of all calls of its multiplexer, how many return although no descriptor is ready?",
    _NOTHING.labels,
    _without_result,
    ranges=True,
)
