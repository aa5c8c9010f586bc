"""Judges what a session saw: the clients of the trials, the process's start and end, and the recording of the probes."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from findings import properties
from findings.diagnosis import ProgramFinding, diagnose
from findings.models.classify import classify
from findings.models.model import Confidence
from findings.pictures import moment
from findings.pictures.moment import Moment
from findings.properties.echoes_every_byte import ECHOES_EVERY_BYTE
from findings.properties.property import Gravity, Holds, Place, Property
from findings.sleeps.meanwhile import meanwhile
from findings.threads.serving import Servers
from findings.view import Run
from probes.context import CasesRun, Seen, ServedCase, ServerRun, Witness
from probes.measure.result import Check, Result
from probes.measure.result import Verdict as CheckVerdict
from probes.words import count
from runs import seccomp
from runs.grading import criteria
from runs.grading.criteria import Criterion
from runs.grading.mark import Item, Mark, Mistake, Verdict
from runs.grading.rubric import Rubric
from runs.grading.session import LONGEST, Examined, Tried, traffic_of
from runs.submission.ending import ENDS_WITHIN, Ending, how_ended

_COUNTED = {Gravity.LOST, Gravity.LATE}  # what a mistake costs, where it costs points
_ALSO_COUNTED = {"sleeps-without-work", "tries-only-ready-connections"}  # they take a CPU, which the model is made to save
_NOT_ITS_FAULT = {"gets-a-cpu"}  # of the machine
_OF_THE_MODEL = {"nonblocking": {"never-spins"}}  # what makes the model
_Fault = TypeVar("_Fault", Item, Mistake)
_MOST_PICTURES = 3  # of one mark: its first screen stays short
_REASONS = 2  # of a classification
_REMEDY = ". Remedy: "  # findings/properties/property.py puts it between the evidence and the remedy
_EARNED = {CheckVerdict.CONFIRMED, CheckVerdict.REFINED, CheckVerdict.REFUTED}  # refuted: of the textbook, not of the server


def mark(examined: Examined, servers: Servers, rubric: Rubric, protocol: str) -> Mark:
    """The mark of a submission. `servers` are those of the whole recording, with other submissions in it."""
    marking = _Marking(examined, servers, rubric)
    entry, once = examined.entry, _Pictures()
    return Mark(
        name=entry.name,
        model=rubric.model,
        protocol=protocol,
        seed=entry.seed,
        items=tuple(map(once.pictured, marking.items())),
        mistakes=tuple(map(once.pictured, marking.mistakes())),
        command=entry.launch.command,
        seconds=examined.seconds,
        output=examined.output,
        notes=(*examined.notes, *marking.refused()),
    )


def judged(part: Result, model: str, seen: Seen, memory: int = 0) -> Result:
    """The part of a result that belongs to one server, judged by the lab of the model as if the lab had run it."""
    lab, traffic = criteria.find(model), traffic_of(model)
    common = {"lab": model.partition(":")[0], "traffic": traffic.sent, "traffic_words": traffic.words}
    witness = Witness(0, 0, 0, 0, 0, 0, 0, 0, memory)  # a lab's checks read the memory alone
    context: CasesRun | ServerRun
    if lab.cases:
        pid = next((thread.pid for thread in part.threads if not thread.parent), None) or (
            part.threads[0].pid if part.threads else 0
        )
        case = ServedCase(criteria.case_of(model), "", pid=pid, traffic_seen=seen, witness=witness)
        context = CasesRun(**common, cases=(case,))  # type: ignore[arg-type]
    else:
        context = ServerRun(**common, traffic_seen=seen, witness=witness)  # type: ignore[arg-type]
    return lab.judge(dataclasses.replace(part, context=context))


class _Pictures:
    """Keeps the pictures of the first faults: one mistake often makes several checks fail, at the same moment."""

    def __init__(self) -> None:
        self._shown: set[tuple[int, int]] = set()

    def pictured(self, fault: _Fault) -> _Fault:
        """The item or the mistake, without its picture if there are enough, or if this one was shown."""
        if fault.picture is None:
            return fault
        moment = fault.picture.tid, fault.picture.begin
        if moment in self._shown or len(self._shown) >= _MOST_PICTURES:
            return dataclasses.replace(fault, picture=None)
        self._shown.add(moment)
        return fault


@dataclass(frozen=True)
class _Marking:
    """One submission's items."""

    examined: Examined
    servers: Servers
    rubric: Rubric

    def items(self) -> Iterator[Item]:
        for criterion, of in self.rubric.criteria:
            yield self._item(criterion, of)

    def mistakes(self) -> Iterator[Mistake]:
        """What is wrong besides: the mistakes of any program that no criterion of the rubric names."""
        counted = criteria.NO_OTHER_MISTAKE in self.rubric.points
        for finding in self._besides:
            if not counted or not _costs_points(finding):
                when, picture = self._moment(finding.place) if finding.place else ("", None)
                lab = finding.lab or ""
                yield Mistake(finding.id, finding.statement, finding.evidence, finding.remedy, lab, when, picture)

    @cached_property
    def _besides(self) -> list[ProgramFinding]:
        """The mistakes of any program that no other criterion names, the worst first."""
        if self.examined.traffic is None or not self._checked.threads:
            return []
        judged_by = {criterion.statement for criterion, _points in self.rubric.criteria}
        failed = [check for check in self._checked.checks if check.verdict is CheckVerdict.FAILED]
        named = " ".join(check.evidence for check in failed if check.name in judged_by)
        found = self._diagnosed.values()
        return [finding for finding in found if not self._ours(finding) and finding.evidence not in named]

    def _no_other_mistake(self, criterion: Criterion, of: int) -> Item:
        """The mistakes that cost data or time. On a machine without a free CPU, time is no evidence."""
        events = self._run.result.events
        if not events.sound or events.full:
            return Item(criterion, Verdict.INCONCLUSIVE, of, f"{events.lost} events lost, {events.unmatched} unmatched")
        found = [finding for finding in self._besides if _costs_points(finding)]
        if not found:
            return _earned(criterion, of, "the probes saw no other mistake")
        worst, *others = found
        if worst.gravity is Gravity.LATE and not _NOT_ITS_FAULT.isdisjoint(self._diagnosed):
            return Item(criterion, Verdict.NOT_SHOWN, of, f"the server had no CPU when it could run: {worst.evidence}")
        when, picture = self._moment(worst.place) if worst.place else ("", None)
        item = _lost(criterion, of, f"{worst.fault}: {worst.evidence}", remedy=worst.remedy)
        besides = tuple(f"{finding.fault}: {finding.evidence}" for finding in others)
        return dataclasses.replace(item, lab=worst.lab or "", moment=when, picture=picture, diagnosed=besides)

    def refused(self) -> Iterator[str]:
        """What the filter of system calls refused to the followed servers; the C library calls clone instead of clone3."""
        numbers = dict.fromkeys((self.examined.number, *(tried.number for tried in self.examined.shown)))
        names: collections.Counter[str] = collections.Counter()
        for number in numbers:
            names.update(self.servers.refused(number))
        del names["clone3"]
        if names:
            yield f"the sandbox refused system calls of the server: {seccomp.words_of(names.most_common())}"

    def _ours(self, finding: ProgramFinding) -> bool:
        """Is the finding about the machine, or about what makes the model?"""
        return finding.id in _NOT_ITS_FAULT or finding.id in _OF_THE_MODEL.get(self.rubric.model, ())

    def _item(self, criterion: Criterion, of: int) -> Item:
        if criterion.id == "starts":
            return self._starts(criterion, of)
        if self.examined.traffic is None:
            return _not_tried(criterion, of, self.examined.not_listening)
        if criterion.id == "model":
            return self._model(criterion, of)
        if criterion.id == criteria.NO_OTHER_MISTAKE:
            return self._no_other_mistake(criterion, of)
        if criterion.kind is criteria.Kind.KERNEL:
            return self._evidence(criterion, of)
        if criterion.id == "protocol":
            return self._protocol(criterion, of)
        if criterion.id == "ends_on_sigterm":
            return self._ends(criterion, of)
        return self._trial(criterion, of)

    # -- the process -------------------------------------------------------------------------------------------------

    def _starts(self, criterion: Criterion, of: int) -> Item:
        address = self.examined.address
        if address is None:
            return _lost(criterion, of, self.examined.not_listening)
        return _earned(criterion, of, f"it listened on {address.host} port {address.port}")

    def _ends(self, criterion: Criterion, of: int) -> Item:
        ending, traffic = self.examined.ending, self.examined.traffic
        assert ending is not None and traffic is not None
        if traffic.ended:
            return _lost(criterion, of, f"the server {traffic.ended} before SIGTERM came")
        if fault := _fault_of(ending):
            return _lost(criterion, of, fault)
        with_client = self.examined.ending_with_client
        if with_client and (fault := _fault_of(with_client)):
            return _lost(criterion, of, f"while a client was connected: {fault}")
        return _earned(
            criterion, of, f"after SIGTERM the server {how_ended(ending.status)}, {1e3 * ending.seconds:.0f} ms later"
        )

    # -- the clients -------------------------------------------------------------------------------------------------

    def _protocol(self, criterion: Criterion, of: int) -> Item:
        tried = self.examined.traffic
        assert tried is not None
        if not tried.failed:
            return _earned(criterion, of, tried.outcome.seen)
        bytes_ = ECHOES_EVERY_BYTE.observe(self._run)
        kernel = (bytes_.evidence,) if bytes_.holds is Holds.BROKEN else ()
        return self._lost_trial(criterion, of, tried, self._run, kernel)

    def _trial(self, criterion: Criterion, of: int) -> Item:
        tried = next((tried for tried in self.examined.trials if tried.outcome.trial == criterion.id), None)
        if tried is None:
            return _not_tried(criterion, of, self._why_not_tried)
        if not tried.failed:
            return _earned(criterion, of, tried.outcome.seen)
        shown = next((each for each in self.examined.shown if each.outcome.trial == criterion.id), None)
        if shown is None:
            return self._lost_trial(criterion, of, tried, None, ())
        return self._lost_trial(criterion, of, shown, Run(self.servers.from_its_listening(shown.number)), ())

    @property
    def _why_not_tried(self) -> str:
        traffic = self.examined.traffic
        if traffic and not traffic.outcome.traffic.exchanges:
            return "no request of the traffic before got its reply"
        if traffic and traffic.failed and not self.examined.trials:
            return "not all requests of the earlier traffic got their replies"
        return self.examined.not_listening or f"the {LONGEST:g} s for the trials were over"

    def _lost_trial(self, criterion: Criterion, of: int, tried: Tried, run: Run | None, kernel: tuple[str, ...]) -> Item:
        """A trial that failed, with what the server's threads did meanwhile if the probes followed it."""
        outcome = tried.outcome
        seen = outcome.fault or "the clients saw no fault"
        if tried.ended:
            seen += f"; the server {tried.ended}"
        remedy = outcome.remedy or None
        if run is None:
            return dataclasses.replace(_lost(criterion, of, seen, remedy), diagnosed=kernel)
        if doing := meanwhile(run, outcome.begin, outcome.end):
            kernel = (*kernel, doing)
        since = self.servers.listened_at(tried.number)
        when = f"{(outcome.begin - since) / 1e9:.2f} s after it began to listen" if since else ""
        picture = moment.of_trial(run, outcome.clients, since)
        item = dataclasses.replace(_lost(criterion, of, seen, remedy), moment=when, diagnosed=kernel, picture=picture)
        return item if criterion.id == "protocol" else self._with_its_mistake(item, run, bool(remedy))

    def _with_its_mistake(self, item: Item, run: Run, known: bool) -> Item:
        """The same with the worst mistake that the probes saw in the trial and that explains it.

        Its remedy is more exact than the criterion's. `known`: the clients know a remedy for what they saw.
        """
        explaining = criteria.EXPLAINED_BY.get(item.criterion.id, set())
        mistakes = (finding for finding in diagnose(run.result).broken if finding.id in explaining)
        worst = next((finding for finding in mistakes if not self._ours(finding)), None)
        if worst is None:
            return item
        words = (*item.diagnosed, worst.evidence)
        remedy = item.remedy if known else worst.remedy
        return dataclasses.replace(item, diagnosed=words, remedy=remedy, lab=worst.lab or item.lab)

    # -- the kernel --------------------------------------------------------------------------------------------------

    @cached_property
    def _checked(self) -> Result:
        traffic = self.examined.traffic
        assert traffic is not None
        part = self.servers.from_its_listening(self.examined.number, idle=self.rubric.model not in criteria.ONE_THREAD)
        return judged(part, self.rubric.model, traffic.outcome.traffic, self.examined.memory)

    @cached_property
    def _run(self) -> Run:
        """The server's run; in a lab with cases that of its case."""
        run = Run(self._checked)
        return next(iter(run.cases.values()), run)

    @cached_property
    def _broken(self) -> list[tuple[Property, str]]:
        """The properties that the server breaks, with the evidence."""
        seen = [(each, each.observe(self._run)) for each in properties.ALL]
        return [(each, observed.evidence) for each, observed in seen if observed.holds is Holds.BROKEN]

    @cached_property
    def _diagnosed(self) -> dict[str, ProgramFinding]:
        return {finding.id: finding for finding in diagnose(self._run.result).broken}

    def _model(self, criterion: Criterion, of: int) -> Item:
        """The classification needs no rubric and no lab: it says what the program is, and why."""
        events = self._run.result.events
        if not events.sound or events.full:
            return Item(criterion, Verdict.INCONCLUSIVE, of, f"{events.lost} events lost, {events.unmatched} unmatched")
        program = classify(self._run.result)
        expected = criteria.expected(self.rubric.model)
        seen = "; ".join(dict.fromkeys((program.summary or program.model.words, *program.because[:_REASONS])))
        if program.model is not expected and self._lab_holds:
            return Item(criterion, Verdict.NOT_SHOWN, of, f"the checks of the lab hold, and the calls look like {seen}")
        if program.model is not expected or program.confidence is Confidence.MIXED:
            return _lost(criterion, of, seen)
        return _earned(criterion, of, seen)

    @property
    def _lab_holds(self) -> bool:
        """Do all checks of the lab hold that the rubric names? They look closer than the classification."""
        names = {criterion.statement for criterion, _points in self.rubric.criteria if criterion.id in self.rubric.evidence}
        verdicts = [check.verdict for check in self._checked.checks if check.name in names]
        return CheckVerdict.FAILED not in verdicts and bool(_EARNED & set(verdicts))

    def _evidence(self, criterion: Criterion, of: int) -> Item:
        checks = [check for check in self._checked.checks if check.name == criterion.statement]
        if not self._checked.threads:
            return _lost(criterion, of, "no call of the server was recorded after it began to listen", remedy="")
        check = checks[0]
        if check.verdict is CheckVerdict.INCONCLUSIVE:
            return Item(criterion, Verdict.INCONCLUSIVE, of, check.evidence)
        if check.verdict in _EARNED:
            return _earned(criterion, of, check.evidence)
        if check.verdict is CheckVerdict.UNAVAILABLE:
            return self._not_shown(criterion, of, check)
        return self._broken_check(criterion, of, check)

    def _not_shown(self, criterion: Criterion, of: int, check: Check) -> Item:
        """A run that serves its clients may not show a property; a server that does not serve them proves nothing."""
        traffic = self.examined.traffic
        if traffic and traffic.outcome.fault:
            return _lost(criterion, of, f"not shown, as requests got no reply: {check.evidence}", remedy="")
        return Item(criterion, Verdict.NOT_SHOWN, of, check.evidence)

    def _broken_check(self, criterion: Criterion, of: int, check: Check) -> Item:
        cited = [each for each, evidence in self._broken if evidence in check.evidence]
        remedies = (self._diagnosed[each.id].remedy if each.id in self._diagnosed else each.remedy for each in cited)
        remedy = "; ".join(dict.fromkeys(remedies)) or criterion.remedy
        seen = check.evidence
        for each in cited:
            seen = seen.replace(f"{_REMEDY}{each.remedy}", "")
        labs = [criteria.SHOWN_BY.get(each.id) for each in cited] + [each.lab for each in cited]
        lab = next((lab for lab in labs if lab), criterion.lab)
        places = [finding.place for each in cited if (finding := self._diagnosed.get(each.id))]
        when, picture = next((self._moment(place) for place in places if place), ("", None))
        return dataclasses.replace(_lost(criterion, of, seen, remedy=remedy), lab=lab, moment=when, picture=picture)

    def _moment(self, place: Place) -> tuple[str, Moment | None]:
        """The moment in words, and as a picture where data waited."""
        since = self.servers.listened_at(self.examined.number)
        words = f"{(place.since - since) / 1e9:.2f} s after it began to listen, " if place.since and since else ""
        where = f"in {place.call}" if place.call else "in user code"
        on = f" on descriptor {place.fd}" if place.fd is not None else ""
        return f"{words}{where}{on} of thread {place.name} ({place.tid})", moment.of_place(self._run, place, since)


def _fault_of(ending: Ending) -> str:
    """What is wrong with the server's end on SIGTERM; "" if nothing is wrong."""
    if ending.status is None:
        return f"the server still ran {ENDS_WITHIN:g} s after SIGTERM"
    if ending.left:
        return f"after the server's end {count(ending.left, 'process')} that it had started still ran"
    if ending.status not in (0, -15, 143):  # 143: a shell's word for SIGTERM
        return f"after SIGTERM the server {how_ended(ending.status)}"
    return ""


def _costs_points(finding: ProgramFinding) -> bool:
    return finding.gravity in _COUNTED or finding.id in _ALSO_COUNTED


def _earned(criterion: Criterion, of: int, seen: str) -> Item:
    return Item(criterion, Verdict.EARNED, of, seen)


def _lost(criterion: Criterion, of: int, seen: str, remedy: str | None = None) -> Item:
    return Item(criterion, Verdict.LOST, of, seen, criterion.remedy if remedy is None else remedy, criterion.lab)


def _not_tried(criterion: Criterion, of: int, why: str) -> Item:
    return dataclasses.replace(_lost(criterion, of, f"not tried: {why}", remedy=""), tried=False)
