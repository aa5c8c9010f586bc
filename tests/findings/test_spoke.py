"""What a client of a trial saw; the process that plays the clients starts fast."""

from __future__ import annotations

import subprocess
import sys

import pytest

from findings.spoke import Spoke
from tests.conftest import ROOT


def test_a_client_that_sent_nothing_has_no_reply() -> None:
    silent = Spoke(connected=10, closed=90, reads=False)
    assert (silent.bytes, silent.sent, silent.answered) == (0, None, None)


@pytest.mark.parametrize("module", ["findings.spoke", "findings.part"])
def test_the_file_loads_no_other_file_of_the_project(module: str) -> None:
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import {module}; print(*sorted(sys.modules))"
    line = [sys.executable, "-I", "-S", "-c", code]
    loaded = subprocess.run(line, capture_output=True, text=True, check=True).stdout.split()
    rooms = ("findings", "probes", "labs", "runs", "reports", "commands", "servers", "machines")
    assert [name for name in loaded if name.split(".")[0] in rooms] == ["findings", module]
