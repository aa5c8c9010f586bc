"""Questions about the sections of an experiment: does a call sleep, fail or succeed at once; on which queue; what wakes it.

Each function builds a question about one section: `kinds` names the system calls that the section is about, and `text` says
what is done under which condition.
"""

from __future__ import annotations

from collections.abc import Set

from findings.view import Run
from labs.kit.questions.question import Question, Truth, Undecided
from probes.measure.queues import OF_ANY_CALL, place
from probes.measure.result import Call, Sleep
from probes.words import count, ms

ANY_CALL: Set[str] = frozenset()  # the section is about whichever call slept longest
_SLEEPS = "it sleeps until it has what it waits for"
_FAILS = "it returns at once, with an error (EAGAIN or another)"
_SUCCEEDS = "it returns at once, and has done what was asked"


def _section_call(run: Run, name: str, kinds: Set[str]) -> Call:
    """The call that a section is about: the first of those kinds or, for ANY_CALL, the call that slept longest."""
    calls = run.sections.get(name, [])
    chosen = [call for call in calls if call.name in kinds] if kinds else sorted(calls, key=lambda call: -call.wait)
    if not chosen:
        raise Undecided(f"{name}: 0 calls of {', '.join(sorted(kinds)) or 'any kind'} in this section")
    return chosen[0]


def _sleeps(call: Call) -> list[Sleep]:
    return [sleep for sleep in call.sleeps if sleep.queue not in OF_ANY_CALL]


def _id(section: str) -> str:
    return section.replace(",", "").replace("?", "").replace(" ", "-")


def what_it_does(section: str, kinds: Set[str], text: str) -> Question:
    """Does the section's call sleep, fail at once, or succeed at once?"""

    def truth(run: Run) -> Truth:
        call = _section_call(run, section, kinds)
        asleep = _sleeps(call)
        option = _SLEEPS if asleep else _FAILS if call.errno else _SUCCEEDS
        words = f"{call.name} {'got ' + call.errno if call.errno else f'returned {call.result}'}, {count(len(asleep), 'sleep')}"
        where = ", ".join(sorted({place(sleep.queue) for sleep in asleep}))
        return Truth(option, words + (f" {where}, {ms(call.wait)}" if where else ""))

    return Question(_id(section), f"{text}: what does it do?", (_SLEEPS, _FAILS, _SUCCEEDS), truth)


_QUEUES = {
    "socket": "the socket's queue for received data",
    "accept": "the listener's queue for connections",
    "connect": "the socket's queue for the end of the handshake",
    "send buffer": "the socket's queue for room in its send buffer",
    "timer": "none: only a timer wakes it",
    "futex": "the queue of a futex, a lock between threads",
    "": "none: it does not sleep",
}


def where_it_sleeps(section: str, kinds: Set[str], text: str) -> Question:
    """On which wait queue does the section's call sleep?"""

    def truth(run: Run) -> Truth:
        call = _section_call(run, section, kinds)
        asleep = _sleeps(call)
        if not asleep:
            return Truth(_QUEUES[""], f"{call.name}: 0 sleeps")
        longest = max(asleep, key=lambda sleep: sleep.wait)
        return Truth(_QUEUES.get(longest.queue, longest.queue), f"{call.name} slept {ms(longest.wait)} {place(longest.queue)}")

    return Question(f"{_id(section)}-where", f"{text}: on which wait queue does it sleep?", tuple(_QUEUES.values()), truth)


_WAKERS = {
    "packet": "a packet that arrives, through TCP",
    "timer": "a timer that expires",
    "signal": "a signal",
    "futex": "another thread of the process",
    "": "nothing: it does not sleep",
}


def what_wakes_it(section: str, kinds: Set[str], text: str) -> Question:
    """What ends the sleep of the section's call?"""

    def truth(run: Run) -> Truth:
        call = _section_call(run, section, kinds)
        asleep = _sleeps(call)
        if not asleep:
            return Truth(_WAKERS[""], f"{call.name}: 0 sleeps")
        longest = max(asleep, key=lambda sleep: sleep.wait)
        if longest.waker is None:
            raise Undecided("this machine did not show what ended the sleep")
        words = f"{call.name} slept {ms(longest.wait)}; the wake-up: {longest.waker.words} -> thread"
        return Truth(_WAKERS.get(longest.waker.chain[0], longest.waker.words), words)

    return Question(f"{_id(section)}-woken-by", f"{text}: what ends its sleep?", tuple(_WAKERS.values()), truth)
