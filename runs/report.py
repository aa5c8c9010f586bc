"""All that a report shows of one run, computed once: the result, its picture, its cases, the marked answers."""

from __future__ import annotations

import collections
from dataclasses import dataclass
from functools import cached_property

import labs
from findings import narrow, side_by_side, slowest, summary
from findings.diagnosis import Diagnosis, diagnose
from findings.not_followed import NotFollowed, not_followed
from findings.outcomes import CallOutcomes, outcomes
from findings.part import Part
from findings.pictures import figure, scene, strips, timeline
from findings.pictures.figure import Figure
from findings.pictures.scene import Scene
from findings.pictures.strips import Strips
from findings.pictures.timeline import Timeline
from findings.side_by_side import CaseReport
from findings.sleeps.idle import Idleness, idleness_of
from findings.sleeps.longest import Longest, longest
from findings.sleeps.off_cpu import OffCpu, off_cpu
from findings.sleeps.where import Where
from findings.slowest import Slowest
from findings.summary import MessageFigures, ReadyListFigures
from findings.threads import groups, roles, startup, work
from findings.threads.endings import Ended, endings
from findings.threads.groups import Group
from findings.threads.labels import Labels
from findings.threads.roles import Identity
from findings.threads.startup import StartUp
from findings.threads.work import ProcessWork
from findings.view import Run
from labs.claims import CLAIMS
from probes.context import CasesRun, LabRun
from probes.measure.result import Call, CallRow, Result
from probes.measure.table import table
from runs import predict
from runs.predict import Prediction


@dataclass(frozen=True)
class Drawn:
    """The figure of a run, or of one server of a lab with several; `case` is then its name."""

    case: str
    result: Result
    figure: Figure


@dataclass(frozen=True)
class Report:
    """One run, ready to be shown in any form. `picture` is None where the lab shows none, or no message arrived.

    `result` is the part that the user asked for; `whole` is the run.
    """

    result: Result
    whole: Result
    part: Part
    messages: MessageFigures
    ready_list: ReadyListFigures | None
    picture: Scene | None
    cases: tuple[CaseReport, ...]
    prediction: Prediction | None
    stories: int = 0  # of the slowest messages and calls that the user wants to read

    @cached_property
    def slowest(self) -> Slowest | None:
        """The slowest messages and calls of the part; None: the user did not ask for them."""
        return slowest.slowest(self.whole, self.stories, self.result) if self.stories else None

    @cached_property
    def begin(self) -> int:
        """When the first thread of the run was followed, ns."""
        return min((thread.start for thread in self.whole.threads), default=0)

    @cached_property
    def start(self) -> StartUp | None:
        """The start-up; None for a program that does not serve, for a lab, and for a part, whose calls the user chose."""
        return None if self.part or isinstance(self.whole.context, LabRun) else startup.of_run(self.whole)

    @cached_property
    def identity(self) -> Identity:
        """What the program is, and what its threads are for; of a part, too, the whole program."""
        return roles.identify(self.whole)

    @cached_property
    def diagnosis(self) -> Diagnosis:
        """What is wrong with the whole program."""
        return diagnose(self.whole)

    @cached_property
    def figures(self) -> tuple[Drawn, ...]:
        """The figures that the page of the run shows: of a lab where its picture is, of each server, or of a traced program."""
        if self.cases:
            runs = [(case.name, case.figures.result) for case in self.cases if case.figures]
            found = [(case, result, figure.figure(result)) for case, result in runs]
        elif self.picture:
            found = [("", self.result, figure.of(self.result, self.picture))]
        elif isinstance(self.result.context, LabRun):
            found = []
        else:
            found = [("", self.result, figure.figure(self.result))]
        return tuple(Drawn(case, result, drawn) for case, result, drawn in found if drawn)

    @cached_property
    def strips(self) -> Strips:
        """Every message from its arrival to its return to the program."""
        return strips.strips(self.result)

    @cached_property
    def timeline(self) -> Timeline:
        """What each thread did at each moment."""
        return timeline.timeline(self.result, self.whole, self.part, self.groups, self.where.causes, self.picture)

    @property
    def claims(self) -> dict[str, str]:
        """The claims of the checks: number and full text, in the order of the checks."""
        return {claim: CLAIMS[claim].text for check in self.result.checks for claim in check.claims if claim in CLAIMS}

    @property
    def without_start_up(self) -> bool:
        """Whether the table of calls leaves the start-up out."""
        return self.start is not None and self.result.details.complete

    @cached_property
    def longest(self) -> dict[str, Longest]:
        """The longest call and the longest sleep of each row of `service_rows`."""
        if self.without_start_up:
            return longest(self.service_calls)
        return longest(self.result.calls, self.result.sums, self.result.sleep_sums)

    @cached_property
    def service_calls(self) -> tuple[Call, ...]:
        """The calls after the start-up."""
        if not self.start:
            return self.result.calls
        return tuple(call for call in self.result.calls if not self.start.has(call))

    @cached_property
    def service_rows(self) -> tuple[CallRow, ...]:
        """The table of the calls after the start-up: first the call that took most time in which its threads were not idle.

        Where details are a part, the table has all calls, also those of the start-up.
        """
        rows = table(self.service_calls, self.result.probes) if self.without_start_up else self.result.rows
        idle: collections.Counter[str] = collections.Counter()
        asleep: collections.Counter[str] = collections.Counter()
        for call in self.service_calls:
            for sleep in call.sleeps:
                idle[call.name] += self.idleness.of_sleep(call, sleep).idle
                asleep[call.name] += sleep.wait

        def not_idle(row: CallRow) -> int:
            """Estimated by the share in the recorded sleeps where details are a part."""
            return row.total - row.wait * idle[row.name] // max(asleep[row.name], 1)

        return tuple(sorted(rows, key=lambda row: (-not_idle(row), row.name)))

    @cached_property
    def start_up_rows(self) -> tuple[CallRow, ...]:
        """The table of the calls of the start-up."""
        return table(self.start.calls, self.result.probes) if self.start else ()

    @cached_property
    def endings(self) -> tuple[Ended, ...]:
        """How the processes ended."""
        shown = {thread.pid for thread in self.result.threads}
        return tuple(ended for ended in endings(Run(self.whole)) if ended.process.pid in shown)

    @cached_property
    def outcomes(self) -> tuple[CallOutcomes, ...]:
        """How the calls ended, by name."""
        return outcomes(self.whole, self.result.calls)

    @cached_property
    def not_followed(self) -> tuple[NotFollowed, ...]:
        """The reads of sockets whose messages are not followed, by reason."""
        return not_followed(self.whole, self.result.calls)

    @cached_property
    def where(self) -> Where:
        """Where each thread waits, start-up and service together."""
        return Where(self.result, None, self.whole.threads, self.idleness)

    @cached_property
    def idleness(self) -> Idleness:
        """Which sleeps of the whole run were idle, and in which the thread was held up."""
        return idleness_of(Run(self.whole))

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The threads by their kinds, with where they wait in their service."""
        return groups.groups(Where(self.result, self.start, self.whole.threads, self.idleness), self.start, self.identity.roles)

    @cached_property
    def labels(self) -> Labels:
        """The names of threads and groups."""
        of_all = groups.groups(Where(self.whole), None, self.identity.roles) if self.part else self.groups
        return Labels(self.whole, of_all)

    @cached_property
    def off_cpu(self) -> tuple[OffCpu, ...]:
        """All sleeps by role, call, wait queue and cause; the longest first."""
        return off_cpu(self.result, self.groups, self.whole.threads)

    @cached_property
    def processes(self) -> tuple[ProcessWork, ...]:
        """What each process did."""
        return work.processes(self.result)


def report(result: Result, part: Part | None = None, stories: int = 0) -> Report:
    """The report on a result, or on a part of it."""
    part = part or Part()
    context = result.context
    pictured = isinstance(context, LabRun) and not isinstance(context, CasesRun) and labs.find(context.lab).picture
    shown = narrow.narrowed(result, part)
    return Report(
        result=shown,
        whole=result,
        part=part,
        messages=summary.messages(shown),
        ready_list=summary.ready_list(result),
        picture=scene.choose(result) if pictured else None,
        cases=side_by_side.cases(result),
        prediction=predict.mark(result),
        stories=stories,
    )
