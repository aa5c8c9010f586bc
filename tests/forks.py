"""pytest -p tests.forks --forks N: N forks of one process run the tests.

The process imports and collects everything once, then forks. Each fork takes the next group of tests from a queue, until the
queue is empty. A group is a part of a test file, or all live tests of a file: these share the results of what they run. The
forks send their reports through pipes; what they print is dropped. The first process prints the reports, a group at a time.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby, pairwise
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

_FORK = multiprocessing.get_context("fork")
# Python looks for cycles after so many new objects. With the usual 700, this takes three quarters of the time of ast.parse.
_COLLECT = 100_000
_GROUP = 12  # tests; more would leave a fork alone at the end
# Fixtures of a module that start a process for several tests. A group has only tests of the same process, and more of them:
# a further group would start a second server, or a second browser, which takes 1 s of CPU time.
_SHARED, _SHARED_GROUP = ("browser", "server"), 24
# These tests wait or compute for seconds. They begin first, in this order, so that no fork works alone at the end.
_LONGEST = (
    "tests/labs/test_wrong_servers.py",
    "tests/labs/test_live.py",
    "tests/labs/test_exercises.py",
    "tests/machines/test_kernels.py",
    "tests/runs/grading/",
    "tests/runs/test_link.py",
    "tests/labs/test_live_cases.py",
    "tests/runs/test_trace.py",
    "tests/probes/capture/",
    "tests/reports/html/test_browser.py",
    "tests/servers/",
    "tests/test_add_a_model.py",
    "tests/test_growth.py",
    "tests/commands/",
)


@dataclass
class Tests:
    """The tests in groups, and the queue of the groups' places."""

    session: pytest.Session
    groups: Sequence[Sequence[pytest.Item]]
    queue: Any  # multiprocessing.queues.SimpleQueue[int], which its module does not export

    def take(self) -> Iterator[tuple[pytest.Item, bool]]:
        """The tests of one group after the other, until the queue is empty; each with whether it is the last of its group."""
        while (place := self.queue.get()) < len(self.groups):
            *others, last = self.groups[place]
            yield from ((item, False) for item in others)
            yield last, True


@dataclass
class Fork:
    """A fork, as the first process sees it."""

    process: ForkProcess
    pipe: Connection
    held: list[pytest.TestReport] = field(default_factory=list)  # the reports of the group that it runs


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    gc.disable()  # until the forks: what is imported and collected stays
    # A slow machine is no fault of a test. Tests take this profile when they are imported.
    settings.register_profile("forks", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("forks")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--forks", type=int, default=0, help="run the tests in so many forks of one process")


class Hooks:
    """Hooks that a conftest.py may implement."""

    def pytest_before_forks(self, session: pytest.Session) -> None:
        """Computes what all forks share."""


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(Hooks)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    number: int = session.config.getoption("forks")
    if not number or session.testsfailed or session.config.option.collectonly:
        return None  # pytest's own loop
    session.config.hook.pytest_before_forks(session=session)
    gc.collect()
    gc.freeze()  # a later collection does not write to the pages that the forks share
    gc.set_threshold(_COLLECT)
    gc.enable()
    tests = Tests(session, _groups(session.items), _FORK.SimpleQueue())
    forks = [_started(tests) for _ in range(number)]
    try:
        for place in range(len(tests.groups) + number):  # a place behind the last group ends a fork
            tests.queue.put(place)
        _report(session, forks)
    finally:
        for fork in forks:
            fork.process.join(10 if fork.process.is_alive() else None)
            fork.process.kill()
    return True


def _groups(items: Sequence[pytest.Item]) -> list[list[pytest.Item]]:
    """A group has up to 12 tests of a file, or up to 24 that share a process, or all live tests that follow each other."""
    groups: list[list[pytest.Item]] = []
    for (_, live, shared), file in groupby(items, lambda item: (item.path, _is_live(item), _shared(item))):
        tests = list(file)
        size = len(tests) if live else _SHARED_GROUP if shared else _GROUP
        groups += [tests[start : start + size] for start in range(0, len(tests), size)]
    return sorted(groups, key=lambda group: _place(group[0].nodeid))


def _is_live(item: pytest.Item) -> bool:
    return item.get_closest_marker("live") is not None


def _shared(item: pytest.Item) -> list[tuple[str, Any]]:
    """The processes that the test shares with others: each fixture with its parameter."""
    if not isinstance(item, pytest.Function):  # a doctest
        return []
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    fixtures = [name for name in _SHARED if name in item.fixturenames and hasattr(item.module, name)]
    return [(name, parameters.get(name)) for name in fixtures]


def _place(test: str) -> int:
    """The place of its file in _LONGEST; the other files come after them."""
    return next((place for place, name in enumerate(_LONGEST) if test.startswith(name)), len(_LONGEST))


def _started(tests: Tests) -> Fork:
    here, there = _FORK.Pipe(duplex=False)
    process = _FORK.Process(target=_run, args=(tests, there))
    process.start()
    there.close()
    return Fork(process, here)


def _run(tests: Tests, pipe: Connection) -> None:
    """What a fork does."""
    config = tests.session.config
    _redirect(config)
    config.pluginmanager.register(_Sender(config, pipe))
    for (item, last), (following, _) in pairwise(chain(tests.take(), [(None, True)])):
        assert item
        try:
            config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        except KeyboardInterrupt:
            config.hook.pytest_runtest_teardown(item=item, nextitem=None)
            return
        if last:
            pipe.send(None)  # the group has ended


def _redirect(config: pytest.Config) -> None:
    """What tests print goes into files of this fork, not into those of the first process. What pytest prints is dropped."""
    capture = config.pluginmanager.getplugin("capturemanager")
    assert capture
    capture.stop_global_capturing()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    capture.start_global_capturing()
    capture.suspend_global_capture()


@dataclass(frozen=True)
class _Sender:
    """A plugin of a fork: sends the reports to the first process."""

    config: pytest.Config
    pipe: Connection

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.pipe.send(self.config.hook.pytest_report_to_serializable(config=self.config, report=report))


def _report(session: pytest.Session, forks: Sequence[Fork]) -> None:
    """Hands the reports of all forks to pytest. A test without a whole report has failed, because its fork died."""
    left = {item.nodeid: item for item in session.items}
    for report in _received(session.config, forks):
        if report.when == "setup":
            session.config.hook.pytest_runtest_logstart(nodeid=report.nodeid, location=report.location)
        session.config.hook.pytest_runtest_logreport(report=report)
        if report.when == "teardown":
            session.config.hook.pytest_runtest_logfinish(nodeid=report.nodeid, location=report.location)
            del left[report.nodeid]
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
    for fork in forks:
        fork.process.join()
    words = f"the test has no report; the forks ended with the statuses {[fork.process.exitcode for fork in forks]}"
    for item in left.values():
        report = pytest.TestReport(item.nodeid, item.location, {}, "failed", words, "call")
        session.config.hook.pytest_runtest_logreport(report=report)


def _received(config: pytest.Config, forks: Sequence[Fork]) -> Iterator[pytest.TestReport]:
    """The reports, those of a group together."""
    by_pipe = {fork.pipe: fork for fork in forks}
    while by_pipe:
        for pipe in wait(list(by_pipe)):
            assert isinstance(pipe, Connection)
            fork = by_pipe[pipe]
            try:
                data = pipe.recv()
            except EOFError:
                data = None
                del by_pipe[pipe]
            if data is None:
                yield from fork.held
                fork.held.clear()
            else:
                fork.held.append(config.hook.pytest_report_from_serializable(config=config, data=data))
