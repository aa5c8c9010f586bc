"""Each recording of a lab's server classifies as its model, from the calls alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from findings.models.classify import classify
from findings.models.model import Architecture, Confidence, Mechanism, Model
from findings.view import Run
from probes.measure.result import Result
from tests.conftest import measured
from tests.findings.models.expected import RECORDED, Expected, identity_of


@pytest.mark.parametrize("expected", RECORDED, ids=lambda expected: expected.name)
def test_a_recorded_server_classifies_as_its_model(expected: Expected) -> None:
    found = identity_of(expected.name).classification
    assert (found.model, found.architecture, found.also) == (expected.model, expected.architecture, expected.also), found
    assert found.because and found.summary


def test_names_are_no_evidence() -> None:
    result = measured("epoll")
    renamed = replace(result, threads=tuple(replace(thread, name="apache2") for thread in result.threads))
    assert classify(renamed) == classify(result)


def test_the_reasons_have_the_counts() -> None:
    because = "; ".join(classify(measured("epoll_edge")).because)
    assert "of its sleep was in epoll_wait" in because
    assert "3 connections in epoll sets, 3 of them edge-triggered" in because
    assert "recvfrom returned clients' data 69 times, and never slept" in because


def without(result: Result, *names: str) -> Result:
    """The same run, whose recording lacks these calls."""
    return replace(result, calls=tuple(call for call in result.calls if call.name not in names))


def test_without_clients_the_model_is_unknown() -> None:
    result = measured("thread_pool")
    first = min(call.enter for call in Run(result).reads)
    found = classify(replace(result, calls=tuple(call for call in result.calls if call.exit < first), messages=()))
    assert (found.model, found.confidence) == (Model.UNKNOWN, Confidence.UNKNOWN)
    assert found.summary == "a server with too little traffic"


def test_a_program_without_sockets_is_no_server() -> None:
    found = classify(measured("trace"))
    assert (found.model, found.confidence) == (Model.NO_SERVER, Confidence.CERTAIN)
    assert "starts 2 processes" in found.summary
    assert "writes files and pipes " in found.summary and "at least" not in found.summary
    part = classify(without(measured("trace"), "close"))
    assert "writes files and pipes at least " in part.summary, "calls without details may be reads and writes, too"


def test_a_recording_of_a_part_says_so_and_still_finds_the_model() -> None:
    """The connections were accepted before: the reads of their sockets show the model."""
    result = without(measured("epoll"), "accept4", "epoll_ctl", "epoll_create1")
    found = classify(result)
    assert (found.model, found.architecture) == (Model.EPOLL, Architecture.SINGLE_LOOP)
    assert any("calls: the recording has no details of the others" in reason for reason in found.because)
    assert any("edge-triggered or not is not known" in reason for reason in found.because)


def test_a_thread_has_a_model_of_its_own() -> None:
    found = classify(measured("thread_pool"))
    assert [thread.mechanism for thread in found.threads] == [Mechanism.BLOCKING] * 4
    assert found.uses == {Mechanism.BLOCKING}
