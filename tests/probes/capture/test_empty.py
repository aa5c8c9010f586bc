"""The empty probes say when they are attached, and end on a signal."""

from __future__ import annotations

import signal
import subprocess

import pytest

from probes.patience import PATIENCE
from runs.processes import python

pytestmark = pytest.mark.live


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_they_are_attached_until_a_signal_comes(kernel: None, number: signal.Signals) -> None:
    with subprocess.Popen(python("probes.capture.empty"), stdout=subprocess.PIPE, text=True) as probes:
        assert probes.stdout and probes.stdout.readline() == "attached\n"
        probes.send_signal(number)
        assert probes.wait(10 * PATIENCE) == 0
