"""The criteria of a model: each fault has a remedy and a lab that shows it, and unknown models are refused."""

from __future__ import annotations

import pytest

import labs
from findings import properties
from findings.models.model import Model
from labs.kit.lab import Lab
from probes.errors import WrongUsage
from runs.grading import criteria
from runs.grading.criteria import Kind


@pytest.mark.parametrize("model", criteria.models())
def test_each_criterion_says_what_to_do(model: str) -> None:
    for criterion in criteria.basic(model).values():
        assert criterion.remedy or criterion.id == criteria.NO_OTHER_MISTAKE, criterion.id
        assert not criterion.lab or isinstance(labs.find(criterion.lab), Lab)
    assert criteria.evidence(model), "a model has checks of its own"
    assert all(each.kind is Kind.KERNEL for each in criteria.evidence(model).values())


def test_the_explanations_name_properties_and_trials_that_exist() -> None:
    known = {each.id for each in (*properties.ALL, *properties.OF_ANY_PROGRAM)}
    assert set(criteria.EXPLAINED_BY) <= set(criteria.TRIALS)
    assert set().union(*criteria.EXPLAINED_BY.values()) | set(criteria.SHOWN_BY) <= known
    assert set(criteria.SHOWN_BY.values()) <= set(labs.names())


def test_the_models_of_one_connection_at_a_time_have_statements_of_their_own() -> None:
    assert criteria.basic("blocking")["silent_client"].statement != criteria.basic("epoll")["silent_client"].statement
    assert criteria.basic("threads")["slow_reader"].remedy != criteria.basic("epoll")["slow_reader"].remedy


def test_libraries_that_wait_in_epoll_are_classified_as_epoll() -> None:
    assert criteria.expected("asyncio") is criteria.expected("selectors") is Model.EPOLL
    assert criteria.expected("io_uring:multishot") is Model.IO_URING and criteria.needs_io_uring("io_uring:multishot")
    assert not criteria.needs_io_uring("epoll")


@pytest.mark.parametrize(("model", "words"), [("epol", "there is no model 'epol'"), ("terms", "is not about one model")])
def test_the_error_for_an_unknown_model_lists_the_models(model: str, words: str) -> None:
    with pytest.raises(WrongUsage, match=words) as error:
        criteria.find(model)
    assert "io_uring" in str(error.value)


def test_the_first_case_of_a_lab_is_its_model() -> None:
    assert criteria.case_of("epoll") == "" and criteria.case_of("io_uring:multishot") == "multishot"
    assert criteria.case_of("io_uring") == labs.find("io_uring").cases[0].name
