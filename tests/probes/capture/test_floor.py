"""The programs of the floor say when they are attached, and end on a signal."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from probes.patience import PATIENCE
from runs.processes import python

pytestmark = pytest.mark.live


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_they_are_attached_until_a_signal_comes(kernel: None, number: signal.Signals) -> None:
    with subprocess.Popen(python("probes.capture.floor"), stdout=subprocess.PIPE, text=True) as probes:
        assert probes.stdout and probes.stdout.readline() == "attached\n"
        probes.send_signal(number)
        assert probes.wait(10 * PATIENCE) == 0


def test_the_calls_of_one_process_are_counted_exactly(kernel: None) -> None:
    """Python makes a few more calls than the loop, between the start and the end of the two programs."""
    with subprocess.Popen([*python("probes.capture.floor"), str(os.getpid())], stdout=subprocess.PIPE, text=True) as probes:
        assert probes.stdout and probes.stdout.readline() == "attached\n"
        for _ in range(20_000):
            os.getppid()
        probes.send_signal(signal.SIGTERM)
        counted = int(probes.stdout.read().split()[0])
    assert 20_000 <= counted < 20_100
