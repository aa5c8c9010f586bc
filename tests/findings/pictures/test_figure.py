"""The figure's data: every moment of the picture once, what came before it, and polling distinguished from user code."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from findings.pictures import figure
from findings.pictures.figure import Doing, Figure
from findings.view import Run
from probes.measure.result import Sleep
from tests.conftest import checked
from tests.probes.measure.streams import call


def figure_of(name: str, case: str = "") -> Figure:
    result = checked(name)
    found = figure.figure(Run(result).case(case).result if case else result)
    assert found
    return found


@pytest.mark.parametrize("name", ["blocking", "nonblocking", "select", "epoll", "signal_driven", "threads", "native_aio"])
def test_the_stretches_cover_the_picture_without_a_gap(name: str) -> None:
    found = figure_of(name)
    assert found.stretches[0].begin == found.scene.start and found.stretches[-1].end == found.scene.end
    for before, after in itertools.pairwise(found.stretches):
        assert before.end == after.begin and before.begin < before.end


def test_the_parts_of_a_call_are_its_phases() -> None:
    found = figure_of("blocking")
    assert [stretch.doing for stretch in found.stretches[:5]] == [
        Doing.ASLEEP, Doing.RUN_QUEUE, Doing.KERNEL, Doing.COPY, Doing.KERNEL,
    ]  # fmt: skip
    scene = found.scene
    copy = next(stretch for stretch in found.stretches if stretch.doing is Doing.COPY)
    assert copy.end == scene.message.copied and copy.end - copy.begin == scene.reads[0].copy


def test_a_thread_that_polls_is_not_said_to_run_user_code() -> None:
    found = figure_of("nonblocking")
    assert found.polls and found.polls.count > 100 and found.polls.errno == "EAGAIN" and found.polls.name == "recvfrom"
    assert found.stretches[0].doing is Doing.POLLING and found.asleep_since is None
    assert Doing.POLLING not in {stretch.doing for stretch in found.stretches if stretch.begin > found.scene.message.read}


@pytest.mark.parametrize("name", ["blocking", "select", "signal_driven", "epoll_edge"])
def test_a_thread_that_sleeps_does_not_poll(name: str) -> None:
    """signal_driven and epoll_edge read until EAGAIN, once for each message."""
    found = figure_of(name)
    assert found.polls is None and found.asleep_since is not None
    assert Doing.POLLING not in {stretch.doing for stretch in found.stretches}


def test_the_registration_is_that_of_the_messages_descriptor() -> None:
    epoll, signal = figure_of("epoll").set_up, figure_of("signal_driven").set_up
    assert epoll and epoll.name == "epoll_ctl" and epoll.args[2] == figure_of("epoll").scene.message.fd
    assert signal and signal.name == "fcntl" and signal.args[2] & figure.O_ASYNC
    assert figure_of("blocking").set_up is None


def test_a_second_sleep_in_a_call_is_a_part_of_its_own() -> None:
    found = figure_of("blocking")
    late = found.scene.end + 10
    sleeps = (Sleep(late + 1, late + 5, late + 7, "socket", (), None), Sleep(late + 9, late + 12, late + 13, "lock", (), None))
    scene = replace(found.scene, calls=(*found.scene.calls, call("recvfrom", late, late + 20, sleeps=sleeps)), end=late + 20)
    last = figure.of(checked("blocking"), scene).stretches[-8:]
    assert [stretch.doing for stretch in last] == [
        Doing.USER, Doing.KERNEL, Doing.ASLEEP, Doing.RUN_QUEUE, Doing.KERNEL, Doing.ASLEEP, Doing.RUN_QUEUE, Doing.KERNEL,
    ]  # fmt: skip
