"""Wrong servers lose points for their fault, and right servers lose none: the whole way for some, the judging for all.

labs/wrong/MODEL.py has the servers, with the words that name the fault. tests/labs/test_wrong_servers.py runs all of them under
the probes; the same results are marked here.
"""

from __future__ import annotations

import dataclasses
import importlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from findings.threads.serving import Servers
from findings.view import Run
from probes.context import CasesRun, Seen, ServerRun
from probes.measure.result import Result
from runs.driving.task import Outcome
from runs.grading import marking, rubric
from runs.grading.criteria import BASIC, basic, evidence
from runs.grading.mark import Mark, Verdict
from runs.grading.session import Entry, Examined, Tried, run_alone, to_show
from runs.lab import NotHere
from runs.submission.ending import Ending
from runs.submission.launch import Launch
from runs.submission.listening import Address
from tests.conftest import ROOT, cases_of, measured, recording_of
from tests.labs import test_wrong_servers

MODELS = ("process_pool",)  # the others cost minutes, where tests/labs has not run them in this process


def marked(model: str, name: str, result: Result) -> Mark:
    """The mark for the kernel's part and the protocol, as if the clients of the lab were those of a trial."""
    context = result.context
    assert isinstance(context, ServerRun | CasesRun)
    seen = context.cases[0].traffic_seen if isinstance(context, CasesRun) else context.traffic_seen
    assert seen is not None
    gave_up = [client.gave_up for client in seen.clients if client.gave_up]
    pid = next(thread.pid for thread in result.threads if not thread.parent)
    case = getattr(importlib.import_module(f"labs.wrong.{model}"), "CASES", {}).get(name)
    points = rubric.default(f"{model}:{case}" if case else model)
    outcome = Outcome("traffic", 0, 1, gave_up[0] if gave_up else "", "", seen)
    examined = Examined(
        Entry(name, Launch(("server",), "."), "s"), pid, address=Address("::1", 1, True), traffic=Tried(outcome, pid),
        ending=Ending(0, 0.0, 0),
    )  # fmt: skip
    own = dataclasses.replace(points, points={"starts": 4, "protocol": 16, "ends_on_sigterm": 3})
    return marking.mark(examined, Servers(result), own, "echo")


@pytest.mark.live
@pytest.mark.parametrize("model", MODELS)
def test_wrong_servers_lose_points_for_the_named_fault_and_right_servers_none(model: str, kernel: None) -> None:
    module = importlib.import_module(f"labs.wrong.{model}")
    try:
        results = test_wrong_servers.judged(model)
    except NotHere as error:
        pytest.skip(f"{error}; to make it run: invoke doctor")
    for name, words in module.WRONG.items():
        mark = marked(model, name, results[name])
        seen = [text for item in mark.lost for text in (item.seen, *item.diagnosed)]
        assert any(words in text for text in seen), (name, words, seen)
    for name in module.RIGHT:
        mark = marked(model, name, results[name])
        assert (mark.points, mark.lost) == (mark.of, []), name


@pytest.fixture
def graded(kernel: None) -> Callable[..., Mark]:
    """Runs a server the whole way."""

    def of(model: str, *command: str, folder: Path = ROOT, strict: bool = False) -> Mark:
        points = rubric.default(model)
        entry = Entry("test", Launch(command, str(folder), strict), "a seed")
        examined, result = run_alone(entry, points, "echo", lambda _words: None)
        return marking.mark(examined, Servers(result), points, "echo")

    return of


def server(name: str) -> tuple[str, ...]:
    return sys.executable, "-m", "servers", name, "--port", "{port}"


@pytest.mark.live
def test_a_right_server_gets_all_points(graded: Callable[..., Mark]) -> None:
    mark = graded("thread_pool", *server("thread_pool"))
    assert (mark.points, mark.lost) == (100, [])


@pytest.mark.live
def test_a_c_program_with_a_port_of_its_own_gets_all_points(
    graded: Callable[..., Mark], compiled: Callable[..., Path], tmp_path: Path
) -> None:
    shutil.copy(compiled("epoll_echo"), tmp_path)
    mark = graded("epoll", "./epoll_echo", folder=tmp_path, strict=True)
    assert (mark.points, mark.lost) == (100, [])
    assert mark.notes == ("the server listened on 127.0.0.1 port 8080, not on the port that it was given",)


@pytest.mark.live
def test_a_fault_has_its_evidence_its_moment_and_its_lab(graded: Callable[..., Mark]) -> None:
    mark = graded("epoll", *server("labs.wrong.epoll:blocking_accepted"))
    lost = {item.criterion.id: item for item in mark.lost}
    asleep, slow = lost["asleep_in_epoll_wait"], lost["slow_reader"]
    assert "in recvfrom" in asleep.seen and "Remedy" not in asleep.seen and asleep.lab == "blocking_accepted"
    assert "after it began to listen, in recvfrom on descriptor" in asleep.moment
    assert "another client was not served" in slow.seen and "slept in sendto" in slow.diagnosed[0]
    assert next(item for item in mark.items if item.criterion.id == "many_clients").verdict is Verdict.EARNED


@pytest.mark.live
def test_a_server_of_another_model_does_not_pass_for_this_one(graded: Callable[..., Mark]) -> None:
    mark = graded("epoll", *server("select"))
    assert {"asleep_in_epoll_wait", "woken_by_the_callback", "registered_once"} <= {item.criterion.id for item in mark.lost}


@pytest.mark.live
def test_a_server_that_never_listens_loses_everything(graded: Callable[..., Mark], tmp_path: Path) -> None:
    mark = graded("epoll", "/bin/sh", "-c", "echo no server here; exit 3", folder=tmp_path, strict=True)
    assert (mark.points, mark.of, mark.status) == (0, 100, "fail")
    assert mark.items[0].seen == "the server ended with status 3 before it listened; its last line of output: no server here"


@pytest.mark.live
def test_a_mistake_that_no_criterion_names_is_seen_without_points(graded: Callable[..., Mark]) -> None:
    mark = graded("nonblocking", *server("labs.wrong.epoll:always_writable"))
    assert "model" in {item.criterion.id for item in mark.lost}
    assert "gets-a-cpu" not in {mistake.id for mistake in mark.mistakes}
    assert "never-spins" not in {mistake.id for mistake in mark.mistakes}  # it makes the model that was asked for


def test_a_failed_trial_has_the_mistake_that_the_probes_saw_and_its_lab() -> None:
    servers = Servers(measured("edge_undrained"))
    broken = next(case for case in cases_of(recording_of("edge_undrained")) if case.name == "broken")
    assert broken.pid is not None
    run = Run(servers.from_its_listening(broken.pid))
    outcome = Outcome("huge_message", run.server.start, run.server.end, "256 bytes came", "")
    examined = Examined(Entry("ada", Launch(("server",), "."), "s"), broken.pid)
    own = marking._Marking(examined, servers, rubric.default("epoll_edge"))
    item = own._lost_trial(BASIC["huge_message"], 6, Tried(outcome, broken.pid), run, ())
    assert item.lab == "edge_undrained" and "until EAGAIN" in item.remedy
    assert any("left data in the socket" in words for words in item.diagnosed)


@pytest.mark.parametrize(("case", "verdict"), [("broken", Verdict.LOST), ("mended", Verdict.EARNED)])
def test_a_mistake_that_keeps_clients_waiting_costs_points_where_no_criterion_names_it(case: str, verdict: Verdict) -> None:
    servers = Servers(measured("slow_handler"))
    served = next(each for each in cases_of(recording_of("slow_handler")) if each.name == case)
    assert served.pid is not None and served.traffic_seen is not None
    outcome = Outcome("traffic", 0, 1, "", "", served.traffic_seen)
    examined = Examined(
        Entry("ada", Launch(("server",), "."), "s"), served.pid, address=Address("::1", 1, True),
        traffic=Tried(outcome, served.pid), ending=Ending(0, 0.0, 0),
    )  # fmt: skip
    own = dataclasses.replace(rubric.default("epoll"), points={"no_other_mistake": 4}, evidence={})
    (item,) = marking.mark(examined, servers, own, "echo").items
    assert item.verdict is verdict, item
    if verdict is Verdict.LOST:
        assert item.seen.startswith("an event loop blocks outside its wait: ") and item.remedy and item.picture


def test_the_model_has_a_remedy_of_its_own_and_so_has_each_check_without_a_property() -> None:
    for model in ("threads", "epoll", "process_pool"):
        assert "has arrived" not in basic(model)["model"].remedy and basic(model)["model"].remedy
    assert "EPOLLOUT" not in basic("threads")["slow_reader"].remedy
    assert evidence("threads")["isolated"].remedy and evidence("epoll")["registered_once"].remedy


def test_a_trial_with_too_many_calls_is_not_shown_under_the_probes() -> None:
    def tried(trial: str, fault: str, cpu: float) -> Tried:
        return Tried(Outcome(trial, 0, 1, fault, "", Seen(())), 100, cpu=cpu)

    trials = [tried("reset", "a fault", 0.1), tried("slow_reader", "a fault", 14.2), tried("huge_message", "", 19.0)]
    assert to_show(trials) == (["reset"], ["slow_reader"])
