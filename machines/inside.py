"""Runs inside a guest: `python -m machines.inside PLAN` prints one JSON line for each lab, each test and each other result.

One process does everything, because a start of Python is slow under emulation. PLAN is a JSON object with these keys:
`examine`, whether to run doctor and measure the cost of the hooks; `labs`, the names of the labs; `tests`, an expression for
pytest's -k ("": every live test, null: none); `reported`, the tests to leave out. If a lab breaks, the next lab still runs.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
import traceback
from collections.abc import Collection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_answers = sys.stdout


def _say(kind: str, started: float, **words: Any) -> None:
    print(json.dumps({"kind": kind, "seconds": round(time.monotonic() - started, 1), **words}), file=_answers, flush=True)


def _costs() -> dict[str, Any]:
    """The cost of a hit for each kind of hook, and of the call that it was measured with."""
    from probes.capture import cost

    try:
        return {"costs": [dataclasses.asdict(hook) for hook in cost.measure()], "why": ""}
    except Exception as error:  # BCC raises plain ones
        return {"costs": [], "why": str(error)}


def _lab(name: str) -> dict[str, Any]:
    import labs
    from probes.errors import IolabError
    from runs import lab as run

    try:
        result = run.measure_and_check(run.record(name, labs.find(name).traffic, lambda _words: None))
    except IolabError as error:
        return {"verdict": "cannot" if error.code == 4 else "broken", "why": str(error), "checks": []}
    except Exception:
        return {"verdict": "broken", "why": traceback.format_exc(), "checks": []}
    return {
        "verdict": result.verdict,
        "why": "" if result.events.sound else f"lost or unmatched: {result.events.reasons}",
        "checks": [dataclasses.asdict(check) for check in result.checks],
        "probes": [dataclasses.asdict(probe) for probe in result.probes],
    }


def _tests(only: str, reported: Collection[str]) -> dict[str, Any]:
    """Runs the live tests by pytest in this process, which has already compiled the probes. Reports each test when it ends."""
    import pytest

    os.chdir(ROOT)
    # The plugin of Hypothesis takes 40 % of the time in which pytest starts. The tests that use Hypothesis run without it.
    plugins = ["-p", "no:cacheprovider", "-p", "no:hypothesispytest"]
    line = ["-q", "-m", "live", *plugins, "--ignore=tests/machines"]  # no machine in a machine
    return {"status": int(pytest.main([*line, *(["-k", only] if only else [])], plugins=[_Reporter(reported)]))}


class _Reporter:
    """A plugin of pytest that reports each test, and leaves out the tests in `reported`."""

    def __init__(self, reported: Collection[str] = ()) -> None:
        self._reported = set(reported)

    def pytest_collection_modifyitems(self, config: Any, items: list[Any]) -> None:
        left_out = [item for item in items if item.nodeid in self._reported]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item.nodeid not in self._reported]

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call" or not report.passed:  # setup and teardown only if they failed or skipped
            _say("test", time.monotonic() - report.duration, name=report.nodeid, outcome=report.outcome, why=_why(report))


def _why(report: Any) -> str:
    """The reason of a failed or skipped test, in short."""
    if report.passed:
        return ""
    if report.skipped:
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message if crash else report.longrepr)


def _examine() -> None:
    from probes.capture import capabilities
    from runs import link

    started = time.monotonic()
    findings = [*capabilities.examine(), link.examine()]
    found = [dataclasses.asdict(finding) for finding in findings]
    _say("doctor", started, can_trace=capabilities.can_trace(findings), findings=found)
    started = time.monotonic()
    _say("costs", started, **_costs())


def main(plan: dict[str, Any]) -> None:
    """Runs doctor, measures the cost of the hooks, then runs the labs, then the tests."""
    if plan["examine"]:
        _examine()
    for name in plan["labs"]:
        started = time.monotonic()
        answer = _lab(name)
        _say("lab", started, name=name, **answer)
    if plan["tests"] is not None:
        started = time.monotonic()
        _say("tests", started, **_tests(plan["tests"], plan["reported"]))


if __name__ == "__main__":
    _answers = os.fdopen(os.dup(1), "w")  # for the JSON lines only: all other output goes to stderr
    os.dup2(2, 1)
    main(json.loads(sys.argv[1]))
