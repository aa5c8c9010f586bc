"""What happens inside a guest: `python -m machines.inside PLAN` prints one JSON line for each thing tried.

One process for all of it, because starting Python is what costs most under emulation. PLAN is a JSON object: `examine`, whether
doctor and the hooks' costs come first; `labs`, their names; `tests`, an expression for pytest's -k, "" for every live test,
null for none; `told`, the tests to leave out. A lab that breaks is an answer, too: the next one runs all the same.
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
    """What a hit costs by each kind of hook, beside the call that it was measured with."""
    from probes.capture import cost

    try:
        return {"costs": [dataclasses.asdict(one) for one in cost.measure()], "why": ""}
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
        "checks": [dataclasses.asdict(one) for one in result.checks],
        "probes": [dataclasses.asdict(one) for one in result.probes],
    }


def _tests(only: str, told: Collection[str]) -> dict[str, Any]:
    """The live tests, by pytest in this process, which has compiled the probes already; each is told when it has ended."""
    import pytest

    os.chdir(ROOT)
    line = ["-q", "-m", "live", "-p", "no:cacheprovider", "--ignore=tests/machines"]  # no machine in a machine
    return {"status": int(pytest.main([*line, *(["-k", only] if only else [])], plugins=[_Teller(told)]))}


class _Teller:
    """Tells of each test that was not `told` before, as a plugin of pytest."""

    def __init__(self, told: Collection[str] = ()) -> None:
        self._told = set(told)

    def pytest_collection_modifyitems(self, config: Any, items: list[Any]) -> None:
        left_out = [one for one in items if one.nodeid in self._told]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [one for one in items if one.nodeid not in self._told]

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call" or not report.passed:  # setup and teardown only if there was something wrong or missing
            _say("test", time.monotonic() - report.duration, name=report.nodeid, outcome=report.outcome, why=_why(report))


def _why(report: Any) -> str:
    """What a test that failed or was skipped says about it, in short."""
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
    _say("doctor", started, can_trace=capabilities.can_trace(findings), findings=[dataclasses.asdict(one) for one in findings])
    started = time.monotonic()
    _say("costs", started, **_costs())


def main(plan: dict[str, Any]) -> None:
    """Doctor first, what hooks cost, then the labs, then the tests."""
    if plan["examine"]:
        _examine()
    for name in plan["labs"]:
        started = time.monotonic()
        answer = _lab(name)
        _say("lab", started, name=name, **answer)
    if plan["tests"] is not None:
        started = time.monotonic()
        _say("tests", started, **_tests(plan["tests"], plan["told"]))


if __name__ == "__main__":
    _answers = os.fdopen(os.dup(1), "w")  # ours alone: whatever else is printed here goes to stderr
    os.dup2(2, 1)
    main(json.loads(sys.argv[1]))
