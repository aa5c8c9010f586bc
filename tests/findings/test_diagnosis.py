"""What is wrong with a program: the findings of right servers, of wrong ones, and of recordings that are not whole."""

from __future__ import annotations

import dataclasses

import pytest

import labs
from findings.diagnosis import diagnose
from findings.properties import OF_ANY_PROGRAM, Holds
from findings.properties.property import Gravity
from findings.view import Run
from tests.conftest import DATA, measured

RIGHT = (
    "blocking", "threads", "processes", "thread_pool", "process_pool", "select", "poll", "epoll", "epoll_edge", "selectors",
    "signal_driven", "posix_aio", "native_aio", "io_uring", "asyncio", "accept", "connect", "delivery", "files", "input_calls",
    "output_calls", "terms", "trace", "connection_pool", "short_write",
)  # fmt: skip
WRONG = [
    ("slow_handler", "broken", "blocks-only-in-its-wait"),
    ("edge_undrained", "broken", "leaves-no-data-unread"),
    ("edge_starvation", "broken", "serves-in-turn"),
    ("always_writable", "broken", "never-spins"),
    ("time_out_polling", "time-out 1 ms", "needs-no-short-time-out"),
]


@pytest.mark.parametrize("name", RIGHT)
def test_nothing_is_wrong_with_a_right_server(name: str) -> None:
    diagnosis = diagnose(measured(name))
    assert not diagnosis.broken, [finding.evidence for finding in diagnosis.broken]
    assert {finding.id for finding in diagnosis.findings} == {each.id for each in OF_ANY_PROGRAM}


SERVERS = sorted(path.stem for path in (DATA / "servers").glob("*.iolab"))
TRUE_OF_SERVERS = {
    "ngircd": {"leaves-no-data-unread"},  # it reads nothing from a new client for 3 s: a penalty against floods
    "tinyproxy": {"queues-at-no-lock"},  # its threads call fsync for the log under one mutex
    "webrick": {"waits-for-no-acknowledgement"},  # it sends the head and the body of an answer by two writes
}
BUSY = {"gets-a-cpu"}  # the recordings were made on a busy machine


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_of_another_project_has_no_fault_but_those_known(name: str) -> None:
    diagnosis = diagnose(measured(f"servers/{name}"))
    broken = {finding.id: finding.evidence for finding in diagnosis.broken}
    assert broken.keys() - BUSY <= TRUE_OF_SERVERS.get(name, set()), broken


@pytest.mark.parametrize(("name", "case", "broken"), WRONG)
def test_a_fault_is_found_with_its_cost_and_its_place(name: str, case: str, broken: str) -> None:
    run = Run(measured(name)).case(case)
    worst = diagnose(run.result).broken[0]
    assert worst.id == broken and worst.verdict is Holds.BROKEN and worst.evidence and worst.remedy
    assert worst.cost.ns > 0 and worst.lab == name
    assert worst.place and worst.place.thread in {thread.serial for thread in run.result.threads}
    assert worst.place.since and worst.place.since >= run.server.start


def test_the_worst_comes_first() -> None:
    diagnosis = diagnose(Run(measured("lost_signal")).case("broken").result)
    assert [finding.id for finding in diagnosis.broken] == ["leaves-no-data-unread", "blocks-only-in-its-wait"]
    assert diagnosis.broken[0].cost.ns > diagnosis.broken[1].cost.ns
    verdicts = [finding.verdict for finding in diagnosis.findings]
    assert verdicts == sorted(verdicts, key=[Holds.BROKEN, Holds.HELD, Holds.NOT_SHOWN].index)
    assert [*diagnosis.broken, *diagnosis.held, *diagnosis.not_shown] == list(diagnosis.findings)


def test_a_recording_that_is_not_whole_shows_no_missing_call() -> None:
    result = measured("epoll")
    lossy = dataclasses.replace(result, events=dataclasses.replace(result.events, lost=3))
    needs_all = {each.id for each in OF_ANY_PROGRAM if each.needs_all}
    shown = {finding.id: finding for finding in diagnose(lossy).findings}
    assert needs_all
    for name in needs_all:
        assert shown[name].verdict is Holds.NOT_SHOWN and "3 events lost" in shown[name].evidence


def test_each_property_has_its_own_name_and_labs_that_exist() -> None:
    assert len({each.id for each in OF_ANY_PROGRAM}) == len(OF_ANY_PROGRAM)
    assert {each.lab for each in OF_ANY_PROGRAM if each.lab} <= set(labs.names())
    assert all(each.fault and each.remedy and isinstance(each.gravity, Gravity) for each in OF_ANY_PROGRAM)
