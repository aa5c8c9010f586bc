"""What the tests share: the check that this kernel can be traced, small C programs, recordings, and runs under the probes.

A live test that can't run here is skipped with the cause and the remedy; with IOLAB_REQUIRE_LIVE=1 (CI) it fails instead.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest

from probes.capture.attach import PROBES, ProbeSpec
from probes.context import CasesRun, LabRun, ServedCase
from probes.errors import CannotTrace
from probes.measure.measure import measure
from probes.measure.result import Result
from probes.patience import PATIENCE
from probes.recording import Recording, load
from runs.lab import check
from runs.report import Report, report
from tests import warm

ROOT = Path(__file__).parents[1]
DATA = ROOT / "tests" / "data"
PROGRAMS = ROOT / "tests" / "programs"
collect_ignore = ["programs"]  # --doctest-modules would import them: they are servers, and start threads
COMMAND = [sys.executable, "-I", str(ROOT / "runs" / "start.py"), "tasks"]  # what ./iolab starts
for _name in ("IOLAB_CALLED", "IOLAB_STARTED", "IOLAB_PREPARED"):
    os.environ.pop(_name, None)  # how ./iolab test was started is not how the tests start things
for _ignored in (signal.SIGHUP, signal.SIGQUIT):  # by nohup or a shell's "&": what the tests start would inherit it
    signal.signal(_ignored, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)


def cannot(reason: str, remedy: str) -> None:
    """Skips the test, or fails it where live tests are required."""
    words = f"{reason}; to make it run: {remedy}"
    if os.environ.get("IOLAB_REQUIRE_LIVE") == "1":
        pytest.fail(words)
    pytest.skip(words)


def kernel_lacks(reason: str) -> NoReturn:
    """Skips the test, also where live tests are required: it asks for what no setting gives to this kernel."""
    pytest.skip(f"{reason}; to make it run: another kernel (invoke kernels)")


@pytest.fixture(scope="session")
def _tracing() -> CannotTrace | None:
    from probes.capture.instrument import Instrument

    try:
        with Instrument():
            return None
    except CannotTrace as error:
        return error


@pytest.fixture
def kernel(_tracing: CannotTrace | None) -> None:
    """The test needs the probes in this kernel."""
    if _tracing is not None:
        cannot(_tracing.problem, _tracing.remedy)


def tool(name: str, package: str) -> str:
    """The path of a program that a test compares with."""
    found = shutil.which(name)
    if found is None:
        cannot(f"{name} is missing", f"apt-get install {package}")
    assert found
    return found


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Compiles a program (or, with shared=True, a library) of tests/programs, once."""
    folder = tmp_path_factory.mktemp("programs")

    def build(name: str, shared: bool = False) -> Path:
        target = folder / (name + (".so" if shared else ""))
        if not target.exists():
            options = ["-shared", "-fPIC"] if shared else ["-pthread"]
            source = PROGRAMS / f"{name}.c"
            include = f"-I{ROOT / 'probes' / 'kernel'}"
            subprocess.run(
                [tool("gcc", "gcc libc6-dev"), "-O1", "-Wall", "-Werror", include, *options, str(source), "-o", str(target)],
                check=True,
            )
        return target

    return build


class Followed:
    """One followed run: what the program printed, the recording, and its result."""

    def __init__(self, output: str, recording: Recording) -> None:
        self.output = output
        self.recording = recording
        self.result: Result = measure(recording)


@pytest.fixture
def follow(kernel: None) -> Callable[..., Followed]:
    """Runs a program that presents the cookie itself (its last argument), and returns the recording."""
    from probes.capture.instrument import Instrument

    def run(
        *command: str | Path,
        beside: Callable[[subprocess.Popen[str]], None] | None = None,
        wanted: tuple[ProbeSpec, ...] = PROBES,
    ) -> Followed:
        for _ in range(_AGAIN):
            with Instrument(wanted=wanted) as instrument:
                line = [str(word) for word in command] + [str(instrument.invite())]
                with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
                    if beside:
                        beside(process)
                    output, _ = process.communicate(timeout=60 * PATIENCE)
                assert process.returncode == 0, output
                found = Followed(output, instrument.stop())
            if found.result.events.sound or not _skipped(found.result.events.reasons):
                return found
        return found if PATIENCE == 1 else _lost()

    return run


_AGAIN = 3  # runs of which one must be sound


def _skipped(reasons: dict[str, int]) -> bool:
    return not reasons.keys().isdisjoint({"missed", "paired", "skipped"})


def _lost() -> NoReturn:
    kernel_lacks(f"a kernel that runs programs to their end: {_AGAIN} runs lost events")


def whole(run: Callable[[], subprocess.CompletedProcess[str]]) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """A run of a lab with --json, and its report. The run is repeated if the probes lost events.

    Linux 7.2 may preempt a program of iolab, and then skips the program for other threads on that CPU. The run reports the
    loss, and the remedy is another run. On an emulated machine, where a program takes long, each run may lose events.
    """
    for _ in range(_AGAIN):
        done = run()
        assert done.stdout, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        if found["verdict"] != "inconclusive" or not _skipped(found["events"]["reasons"]):
            return done, found
    return (done, found) if PATIENCE == 1 else _lost()


def failures(found: dict[str, Any]) -> str:
    """The failed checks of a lab with their evidence, as an assertion message."""
    wrong = [check for check in found["checks"] if check["verdict"] in ("failed", "inconclusive")]
    bad = [f"{check['name']}: {check['evidence']}" for check in wrong]
    return "; ".join([found["verdict"], str(found["events"]), *bad])


@pytest.fixture
def recorded() -> Callable[[str], Recording]:
    """A recording of tests/data by its name."""
    return recording_of


def recording_of(name: str) -> Recording:
    """A recording of tests/data; each caller has its own losses, and may change them."""
    recording = _loaded(name)
    return dataclasses.replace(recording, losses=dict(recording.losses))


@functools.cache
def _loaded(name: str) -> Recording:
    return load(DATA / f"{name}.iolab")


def lab_run(recording: Recording) -> LabRun:
    """What the recording of a lab knows of its run."""
    assert isinstance(recording.context, LabRun)
    return recording.context


def cases_of(recording: Recording) -> tuple[ServedCase, ...]:
    """The cases of a lab with several servers."""
    assert isinstance(recording.context, CasesRun)
    return recording.context.cases


def renamed(cases: Sequence[ServedCase], names: Sequence[str]) -> tuple[ServedCase, ...]:
    """The same servers under other names: each check reads another server than its own."""
    return tuple(dataclasses.replace(case, name=name) for case, name in zip(cases, names, strict=True))


@functools.cache
def measured(name: str) -> Result:
    """Its result, measured once for all tests."""
    return measure(recording_of(name))


def measured_with(name: str, **changes: Any) -> Result:
    """The same with other values in these fields of its context: measuring does not read the context, so it is not repeated."""
    result = measured(name)
    return dataclasses.replace(result, context=dataclasses.replace(result.context, **changes))


@functools.cache
def checked(name: str) -> Result:
    """Its result with the lab's verdicts."""
    return check(measured(name))


def checked_with(name: str, **changes: Any) -> Result:
    """The same with other values in these fields of its context."""
    return check(measured_with(name, **changes))


@functools.cache
def reported(name: str) -> Report:
    """All that a report shows of it."""
    return report(checked(name))


@pytest.hookimpl(optionalhook=True)
def pytest_before_forks(session: pytest.Session) -> None:
    """Each recording is measured once for all forks (tests/forks.py). Live tests need few of them."""
    if all(item.get_closest_marker("live") for item in session.items):
        return
    for path in DATA.rglob("*.iolab"):
        reported(str(path.relative_to(DATA).with_suffix("")))


def readable_by_all() -> None:
    """The test lets another user run this checkout."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user; run the tests as root")
    if any(folder.stat().st_mode & 0o5 != 0o5 for folder in ROOT.parents):
        pytest.skip(f"other users can't read {ROOT}; clone into a folder that they can")


def iolab(*arguments: str, stdin: str = "", timeout: float = 120, **environment: str) -> subprocess.CompletedProcess[str]:
    """`invoke ARGUMENTS` as a user would run it, in the environment of the tests, in a fork (tests/warm.py)."""
    return warm.run(arguments, stdin, timeout * PATIENCE, os.environ | environment)


def started_anew(
    *arguments: str, stdin: str = "", timeout: float = 120, **environment: str
) -> subprocess.CompletedProcess[str]:
    """The same with the start of Python."""
    return subprocess.run(
        [*COMMAND, *arguments],
        input=stdin, capture_output=True, text=True, timeout=timeout * PATIENCE, env=os.environ | environment,
    )  # fmt: skip
