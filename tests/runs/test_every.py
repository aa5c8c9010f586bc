"""Labs run one after the other: one that this machine refuses does not stop the others."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from probes.patience import PATIENCE
from tests.conftest import ROOT

IO_URING_SETUP = "425"  # on every architecture
JUDGE = """
import json
from runs import every
judged, verdict = every.judge(["io_uring", "terms"], lambda words: None)
evidence = {name: [[check.verdict, check.evidence] for check in checks.values()] for name, checks in judged.items()}
print(json.dumps([verdict, evidence]))
"""


def under_a_filter(compiled: Callable[..., Path], *arguments: str) -> subprocess.CompletedProcess[str]:
    line = [str(compiled("without")), IO_URING_SETUP, sys.executable, *arguments]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=120 * PATIENCE)


@pytest.mark.live
def test_a_lab_that_the_machine_refuses_is_unavailable_and_the_others_run(kernel: None, compiled: Callable[..., Path]) -> None:
    done = under_a_filter(compiled, "-c", JUDGE)
    assert done.returncode == 0, done.stderr
    verdict, judged = json.loads(done.stdout)
    assert {verdict for verdict, _ in judged["io_uring"]} == {"unavailable"} and "seccomp" in judged["io_uring"][0][1]
    assert judged["terms"] and not {verdict for verdict, _ in judged["terms"]} & {"unavailable", "inconclusive", "failed"}, (
        judged
    )
    assert verdict == "pass"


@pytest.mark.live
def test_doctor_names_the_lab_that_can_not_run(kernel: None, compiled: Callable[..., Path]) -> None:
    doctor = ("-I", str(ROOT / "runs" / "start.py"), "tasks", "doctor")
    done = under_a_filter(compiled, *doctor)
    assert done.returncode == 0, done.stderr
    words = " ".join(done.stdout.split())
    assert "These labs run here: accept" in words and "Lab io_uring can't run: this machine refuses io_uring" in words
    labs = json.loads(under_a_filter(compiled, *doctor, "--json").stdout)["labs"]
    assert "io_uring" not in labs and "epoll" in labs
