"""The exercises: every file keeps the format, every solution passes the check, and every skeleton fails in a gap.

That each gap alone makes one of its checks fail takes minutes: `python -m tests.labs.exercises LANGUAGE` runs it.
"""

from __future__ import annotations

import functools

import pytest

from findings import properties
from probes.patience import PATIENCE
from runs.exercise import source
from runs.exercise.assessment import Assessment
from runs.exercise.source import Exercise, Language, written
from runs.grading import criteria, rubric
from runs.grading.mark import Mark
from tests.conftest import tool
from tests.labs.exercises import SKELETON, SOLUTION, Variant, judged

EXERCISES = [source.load(model, language) for model in source.models() for language in source.languages(model)]
_LONGEST = 200  # lines of a solution
_TRIES = 3
_DETAILS = 20_000  # calls and sleeps of the skeletons that are reported one by one


def name(exercise: Exercise) -> str:
    return f"{exercise.model}.{exercise.language}"


@pytest.mark.parametrize("exercise", EXERCISES, ids=name)
def test_a_gap_names_checks_that_exist(exercise: Exercise) -> None:
    known = (
        set(criteria.BASIC)
        | {each.id for each in (*properties.ALL, *properties.OF_ANY_PROGRAM)}
        | set(criteria.evidence(exercise.model))
    )
    criteria.find(exercise.model)
    assert 3 <= len(exercise.gaps) <= 6
    for gap in exercise.gaps:
        assert set(gap.checks) <= known, f"gap {gap.number}: {set(gap.checks) - known}"
        assert gap.checks[0] in {each.id for each, _points in rubric.default(exercise.model).criteria}


@pytest.mark.parametrize("exercise", EXERCISES, ids=name)
def test_the_skeleton_shows_no_solution_and_the_solution_no_stub(exercise: Exercise) -> None:
    skeleton, solution = exercise.skeleton(), exercise.solution()
    assert [state.begun for state in written(exercise, skeleton)] == [False] * len(exercise.gaps)
    assert not any(word in skeleton for word in ("HINT:", "STUB:", "CHECKS:"))
    assert len(solution.splitlines()) <= _LONGEST
    assert max(map(len, skeleton.splitlines())) <= 128
    if exercise.language is Language.PYTHON:
        compile(skeleton, exercise.file_name, "exec")
        compile(solution, exercise.file_name, "exec")


@functools.cache
def marks(language: Language, number: int) -> dict[Variant, Mark]:
    """The marks of all solutions or all skeletons of a language. After lost events a submission runs again, as by grade."""
    left, found = [Variant(each, number) for each in EXERCISES if each.language is language], dict[Variant, Mark]()
    for _ in range(_TRIES):
        found |= judged(left, details=None if number == SOLUTION else _DETAILS)
        left = [each for each, mark in found.items() if mark.status == "inconclusive"]
        if not left:
            break
    return found


@pytest.mark.live
@pytest.mark.skipif(PATIENCE > 1, reason="54 servers take hours on an emulated machine; to make it run: a real machine")
@pytest.mark.parametrize("exercise", EXERCISES, ids=name)
def test_the_solution_passes_and_the_skeleton_fails_in_a_gap(kernel: None, exercise: Exercise) -> None:
    if exercise.language is Language.C:
        tool("cc", "gcc libc6-dev")
    solution = marks(exercise.language, SOLUTION)[Variant(exercise, SOLUTION)]
    assert solution.status == "pass", [(item.criterion.id, item.seen) for item in solution.lost]
    mark = marks(exercise.language, SKELETON)[Variant(exercise, SKELETON)]
    skeleton = Assessment(exercise, exercise.file_name, written(exercise, exercise.skeleton()), mark)
    assert skeleton.status == "fail" and skeleton.open and skeleton.open.gap.number == 1
    assert any(each.faults for each in skeleton.gaps), [item.criterion.id for item in mark.lost]
