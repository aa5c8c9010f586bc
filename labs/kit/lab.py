"""A lab: a question, a server, its traffic, and the checks that hold the claims against what the kernel showed.

A lab file makes one `LAB` and decorates its checks with it:

    LAB = Lab(model="blocking", chapter="Blocking", question="...", ...)

    @LAB.check("the thread sleeps in recvfrom", claims=("C03",))
    def sleeps_in_recvfrom(run: Run) -> Finding:
        ...
        return confirmed("23 of 24 recvfrom slept")

    LAB.ask(WAITS_IN.at("broken"), ...)  # the questions to predict from, where the lab has some of its own

The name of a check is a statement; its verdict says whether the statement holds, and its evidence quotes figures. A check must
come out `failed` on a server that does not have the property: tests/labs runs every check on the recordings of other models.

A lab that puts several servers side by side names them as `cases`; its checks read each of them by `run.case("broken")`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from findings.properties import Property
from findings.properties.echoes_every_byte import ECHOES_EVERY_BYTE
from findings.view import (
    Finding,
    NotOffered,
    Run,
    confirmed,
    ended_by_signal,
    failed,
    refined,
    refuted,
    sleeps,
    turns,
    unavailable,
    waited,
)
from labs.kit.traffic import Traffic
from probes.measure.result import Check, Result, Verdict
from probes.words import count

if TYPE_CHECKING:
    from labs.kit.questions.question import Question

__all__ = [
    "CHAPTERS",
    "Case",
    "Finding",
    "Lab",
    "NotOffered",
    "Run",
    "confirmed",
    "ended_by_signal",
    "failed",
    "refined",
    "refuted",
    "sleeps",
    "turns",
    "unavailable",
    "waited",
]


@dataclass(frozen=True)
class Case:
    """One of several servers that a lab puts side by side."""

    name: str  # as the report shows it: "broken", "mended"
    server: str  # as `python -m servers` takes it
    options: tuple[str, ...] = ()  # further arguments of its command line
    traffic: dict[str, Any] = field(default_factory=dict)  # where its traffic differs from the lab's


CHAPTERS = ("Terms and calls", "Blocking", "Non-blocking", "Multiplexing", "Signal-driven", "Asynchronous", "Classic mistakes")
CheckFunction = Callable[[Run], Finding]


@dataclass
class Lab:
    """One lab. `server` names a file in servers/; `asides` are run once each, in a process that is not followed."""

    model: str
    chapter: str  # one of CHAPTERS
    question: str
    watch: str  # one sentence: what to read in the output
    try_next: tuple[str, ...]  # "invoke ...  why", two blanks between
    reading: tuple[str, ...]  # books, man pages, functions of the kernel
    server: str | None = None
    traffic: Traffic = field(default_factory=Traffic)
    cases: tuple[Case, ...] = ()  # instead of `server`: several servers, one after the other, on the same traffic
    asides: tuple[str, ...] = ()  # "module:function" of experiments beside the traffic; each returns JSON data
    experiment: str | None = None  # "module:function" that is followed instead of a server; such a lab has no clients
    picture: bool = True  # shows one message on its way; False where the lab is about something else
    checks: list[tuple[str, tuple[str, ...], CheckFunction]] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)  # its own; the general ones stand in labs/kit/questions

    def check(self, name: str, claims: tuple[str, ...]) -> Callable[[CheckFunction], CheckFunction]:
        """Registers a check; `name` is a statement, true or false. The report shows the checks in the order of the file."""

        def register(function: CheckFunction) -> CheckFunction:
            self.checks.append((name, claims, function))
            return function

        return register

    def holds(self, cited: Property, claims: tuple[str, ...]) -> None:
        """Registers a property of findings/properties as a check: its statement is the check's name."""

        @functools.wraps(cited.observe, assigned=("__doc__",), updated=())
        def check(run: Run) -> Finding:
            if self.cases and not run.cases:
                run.case(self.cases[0].name)  # raises NotOffered, with the reason
            return cited.check(run)

        self.checks.append((cited.statement, claims, check))

    def ask(self, *questions: Question) -> None:
        """Registers questions to predict from. A seed chooses by position: new questions go to the end."""
        self.questions.extend(questions)

    @property
    def claims(self) -> list[str]:
        """The ids of the claims that its checks stand for, sorted."""
        return sorted({claim for _name, claims, _function in self.checks for claim in claims})

    @property
    def servers(self) -> tuple[Case, ...]:
        """The servers that it runs: its cases, or its single server as a case without a name."""
        return self.cases or ((Case("", self.server),) if self.server else ())

    def _incomplete(self, run: Run) -> list[tuple[str, tuple[str, ...], CheckFunction]]:
        """A further check where a single server left bytes of its clients without an echo: such a run must not pass."""
        missing = not self.cases and any(client.gave_up for client in run.clients)
        return [(ECHOES_EVERY_BYTE.statement, (), ECHOES_EVERY_BYTE.check)] if missing else []

    def judge(self, result: Result) -> Result:
        """The result with this lab's verdicts; inconclusive ones where events were lost or left without a partner, or where the
        recording was full before the end.
        """
        run, checks = Run(result), []
        for name, claims, function in (*self.checks, *self._incomplete(run)):
            try:
                verdict, evidence = function(run)
            except NotOffered as error:
                verdict, evidence = unavailable(str(error))
            if not result.events.sound and verdict is not Verdict.UNAVAILABLE:
                lost = count(result.events.lost, "event")
                evidence = f"{lost} lost, {result.events.unmatched} unmatched; else: {verdict}, {evidence}"
                verdict = Verdict.INCONCLUSIVE
            elif result.events.full and verdict is not Verdict.UNAVAILABLE:
                verdict, evidence = (
                    Verdict.INCONCLUSIVE,
                    f"the recording was full before the end; until then: {verdict}, {evidence}",
                )
            checks.append(Check(name, claims, verdict, evidence))
        return result.with_checks(checks)
