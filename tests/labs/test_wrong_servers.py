"""Wrong servers of the same model, run live: the lab of the model fails, by a check whose evidence names the fault.

labs/wrong/MODEL.py has the servers, with the words that the evidence must contain, and right servers that are written
differently. All servers of a model run under the same probes.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import functools
import importlib
import pkgutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

import labs
import labs.wrong
from findings.view import of_process
from labs.kit.lab import Case
from labs.kit.traffic import Traffic
from probes.capture.instrument import Instrument
from probes.context import CasesRun, ServedCase, ServerRun
from probes.measure.measure import measure
from probes.measure.result import Result, Verdict
from probes.patience import PATIENCE
from runs.lab import NotHere, Served, clients_process, serve
from runs.processes import Child

AT_ONCE = 3  # servers; most of their time they wait for their clients
TRAFFIC = Traffic(clients=3, messages=11, gap_ms=10, give_up_after=1.5)
TRIES = 3
MODULES = sorted(
    name
    for _finder, name, _package in pkgutil.iter_modules(labs.wrong.__path__)
    if hasattr(importlib.import_module(f"labs.wrong.{name}"), "WRONG")
)


_idle: list[Child] = []  # processes of clients, for all models: the start of each takes 0.1 s of CPU
_open = contextlib.ExitStack()
atexit.register(_open.close)


def servers(model: str) -> list[str]:
    """The model's wrong and right servers."""
    module = importlib.import_module(f"labs.wrong.{model}")
    return [*module.WRONG, *module.RIGHT]


def traffic_of(model: str) -> Traffic:
    """As many clients as the lab's own traffic has: more than a pool has threads."""
    return dataclasses.replace(TRAFFIC, clients=max(TRAFFIC.clients, labs.find(model).traffic.clients))


@functools.cache
def judged(model: str) -> dict[str, Result]:
    """The result of each of a model's servers, with the verdicts of the model's lab."""
    lab, tries = labs.find(model), TRIES
    while True:
        seen, result = _served(model, servers(model))
        tries -= 1
        if result.events.sound or not tries:  # a lost event makes a run inconclusive: check and grade run it again, too
            return {name: lab.judge(of_server(result, model, name, served)) for name, served in seen.items()}


def judged_alone(model: str, name: str) -> Result:
    """The same of one server, which runs by itself."""
    seen, result = _served(model, [name])
    return labs.find(model).judge(of_server(result, model, name, seen[name]))


def _served(model: str, names: Sequence[str]) -> tuple[dict[str, Served], Result]:
    """What the clients of these servers of a model saw, and the result of all servers."""
    while len(_idle) < AT_ONCE:  # in this thread: a process of clients ends with the thread that started it
        _idle.append(_open.enter_context(clients_process()))
    with Instrument() as instrument, ThreadPoolExecutor(AT_ONCE) as pool:

        def run(name: str) -> Served:
            clients = _idle.pop()
            served = serve(Case(name, f"labs.wrong.{model}:{name}"), traffic_of(model), instrument.invite(), clients=clients)
            _idle.append(clients)  # after an exception it may still be at work, and another process takes its place
            return served

        seen = dict(zip(names, pool.map(run, names), strict=True))
        instrument.wait_until_gone(2 * PATIENCE)
        return seen, measure(instrument.stop())


def of_server(result: Result, model: str, name: str, served: Served) -> Result:
    """What of the result belongs to one server, as if the lab of the model had run it alone, or as its only case."""
    part, traffic = of_process(result, served.pid), traffic_of(model)
    if lab_cases := labs.find(model).cases:
        case = getattr(importlib.import_module(f"labs.wrong.{model}"), "CASES", {}).get(name, lab_cases[0].name)
        server = ServedCase(
            name=case,
            server=f"labs.wrong.{model}:{name}",
            pid=served.pid,
            traffic_seen=served.traffic_seen,
            witness=served.witness,
        )
        cases = CasesRun(lab=model, traffic=traffic.sent, traffic_words=traffic.words, cases=(server,))
        return dataclasses.replace(part, context=cases)
    context = ServerRun(
        lab=model,
        traffic=traffic.sent,
        traffic_words=traffic.words,
        traffic_seen=served.traffic_seen,
        witness=served.witness,
    )
    return dataclasses.replace(part, context=context)


@pytest.fixture
def verdicts(kernel: None) -> object:
    """The results, where this kernel can be traced and offers the model."""

    def of(model: str, name: str) -> Result:
        try:
            return judged(model)[name]
        except NotHere as error:
            pytest.skip(f"{error}; to make it run: invoke doctor")

    return of


@pytest.mark.live
@pytest.mark.parametrize(
    ("model", "name"), [(model, name) for model in MODULES for name in importlib.import_module(f"labs.wrong.{model}").WRONG]
)
def test_the_lab_fails_on_a_wrong_server_and_names_the_fault(model: str, name: str, verdicts: object) -> None:
    """A fault that needs two threads at one moment may not show itself where the CPUs are busy: such a server runs again."""
    words = importlib.import_module(f"labs.wrong.{model}").WRONG[name]
    for number in range(TRIES):
        result: Result = judged_alone(model, name) if number else verdicts(model, name)  # type: ignore[operator]
        failed = [check.evidence for check in result.checks if check.verdict is Verdict.FAILED]
        if result.events.sound and any(words in evidence for evidence in failed):
            return
    pytest.fail(f"{result.events}, {failed}, {[(check.name, check.verdict) for check in result.checks]}")


@pytest.mark.live
@pytest.mark.parametrize(
    ("model", "name"), [(model, name) for model in MODULES for name in importlib.import_module(f"labs.wrong.{model}").RIGHT]
)
def test_the_lab_passes_on_a_right_server_that_is_written_differently(model: str, name: str, verdicts: object) -> None:
    result = verdicts(model, name)  # type: ignore[operator]
    assert [(check.name, check.evidence) for check in result.checks if check.verdict is Verdict.FAILED] == []
    assert result.verdict == "pass"
