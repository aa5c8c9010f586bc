"""Faults go to the gaps that name them: to a gap with its stub before a gap with code."""

from __future__ import annotations

from runs.exercise.assessment import Assessment, GapState, so_far
from runs.exercise.source import Exercise, Gap, Language, Written
from runs.grading import rubric
from runs.grading.criteria import Criterion, Kind
from runs.grading.mark import Item, Mark, Mistake, Verdict


def gap(number: int, *checks: str) -> Gap:
    return Gap(number, "Do it.", checks, ("right",), ("a", "b"), ("wrong",), "")


GAPS = (gap(1, "protocol"), gap(2, "asleep", "never-spins"), gap(3, "half_close", "asleep"))
EXERCISE = Exercise("epoll", Language.PYTHON, GAPS)


def item(check: str, verdict: Verdict = Verdict.LOST, tried: bool = True) -> Item:
    return Item(Criterion(check, check, Kind.CLIENTS), verdict, 1, "seen", tried=tried)


def assessed(begun: tuple[bool, bool, bool], *items: Item, mistakes: tuple[Mistake, ...] = ()) -> Assessment:
    written = tuple(Written(each, 10 * each.number, has_code) for each, has_code in zip(GAPS, begun, strict=True))
    mark = Mark("", "epoll", "echo", "1", items, mistakes)
    return Assessment(EXERCISE, "exercises/epoll_server.py", written, mark)


def states(assessment: Assessment) -> list[GapState]:
    return [judged.state for judged in assessment.gaps]


def test_a_gap_with_code_and_without_faults_is_done() -> None:
    found = assessed((True, True, True), item("protocol", Verdict.EARNED), item("asleep"))
    assert states(found) == [GapState.DONE, GapState.FAULT, GapState.DONE]
    assert found.open and found.open.gap.number == 2 and [each.criterion.id for each in found.open.faults] == ["asleep"]


def test_a_fault_that_two_gaps_name_belongs_to_the_one_with_its_stub() -> None:
    found = assessed((True, True, False), item("asleep"))
    assert states(found) == [GapState.DONE, GapState.DONE, GapState.NOT_BEGUN]
    assert [len(judged.faults) for judged in found.gaps] == [0, 0, 1]


def test_a_check_that_was_not_tried_says_nothing_against_a_gap() -> None:
    found = assessed((False, True, True), item("protocol"), item("half_close", tried=False))
    assert states(found) == [GapState.NOT_BEGUN, GapState.DONE, GapState.UNKNOWN]
    assert found.not_tried == 1


def test_what_follows_from_a_failing_protocol_is_no_fault_of_another_gap() -> None:
    found = assessed((False, True, True), item("protocol"), item("asleep"), item("reset"))
    assert states(found) == [GapState.NOT_BEGUN, GapState.UNKNOWN, GapState.UNKNOWN]
    assert [each.criterion.id for each in found.following] == ["asleep", "reset"] and not found.others


def test_a_stub_keeps_the_faults_that_it_names_beside_a_failing_protocol() -> None:
    found = assessed((False, False, True), item("protocol"), item("asleep"))
    assert [[each.criterion.id for each in judged.faults] for judged in found.gaps] == [["protocol"], ["asleep"], []]


def test_a_gap_whose_first_check_is_met_is_not_suspected() -> None:
    found = assessed((True, True, True), item("asleep", Verdict.EARNED), item("half_close"))
    assert states(found) == [GapState.DONE, GapState.DONE, GapState.FAULT]
    found = assessed((True, True, True), item("asleep"))
    assert states(found) == [GapState.DONE, GapState.FAULT, GapState.DONE]


def test_a_second_gap_with_the_same_first_check_is_suspected_too() -> None:
    gaps = (gap(1, "protocol"), gap(2, "protocol", "asleep"))
    exercise = Exercise("epoll", Language.PYTHON, gaps)
    found = Assessment(exercise, "x", tuple(Written(each, 1, True) for each in gaps), Mark("", "", "", "", (item("protocol"),)))
    assert states(found) == [GapState.PERHAPS, GapState.PERHAPS]
    assert found.open and found.open.gap.number == 1 and len(found.suspected) == 2


def test_code_that_an_earlier_check_found_done_is_suspected_last() -> None:
    gaps = (gap(1, "protocol"), gap(2, "protocol", "asleep"))
    exercise = Exercise("epoll", Language.PYTHON, gaps)
    mark = Mark("", "", "", "", (item("protocol"),))
    found = Assessment(exercise, "x", tuple(Written(each, 1, True) for each in gaps), mark, settled=frozenset({1}))
    assert states(found) == [GapState.DONE, GapState.FAULT]


def test_what_clients_saw_is_a_fault_also_where_events_were_lost() -> None:
    lost = Item(Criterion("asleep", "", Kind.KERNEL), Verdict.INCONCLUSIVE, 1, "events lost")
    assert assessed((True, True, True), lost).status == "inconclusive"
    assert assessed((True, True, True), lost, item("reset")).status == "fail"


def test_other_faults_and_mistakes_beside_the_criteria() -> None:
    mistake = Mistake("never-spins", "no thread polls in a loop", "it polls", "sleep", "", "")
    found = assessed((True, True, True), item("reset"), mistakes=(mistake,))
    assert [each.criterion.id for each in found.others] == ["reset"]
    assert found.gaps[1].mistakes == (mistake,) and found.open is None
    assert found.status == "fail"


def test_without_a_mark_only_the_stubs_are_known() -> None:
    written = tuple(Written(each, 1, each.number == 1) for each in GAPS)
    found = Assessment(EXERCISE, "x.c", written, None, "x.c:1: error")
    assert states(found) == [GapState.UNKNOWN, GapState.NOT_BEGUN, GapState.NOT_BEGUN]
    assert found.status == "fail"


def test_the_trials_of_later_gaps_wait() -> None:
    whole = rubric.default("epoll")
    begun = [Written(each, 1, has_code) for each, has_code in zip(GAPS, (True, False, False), strict=True)]
    assert so_far(whole, begun).trials == []
    assert so_far(whole, [*begun[:2], Written(GAPS[2], 1, True)]).trials == ["half_close"]
    assert so_far(whole, begun).evidence == whole.evidence and "ends_on_sigterm" in so_far(whole, begun).points
    assert so_far(whole, [Written(each, 1, True) for each in GAPS]) == whole
