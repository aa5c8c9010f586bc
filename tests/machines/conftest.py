"""Tests that boot machines and start daemons are skipped inside iolab's own container."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import ROOT

_IN_THE_IMAGE = Path("/usr/local/bin/iolab").resolve() == ROOT / "machines" / "entry.sh"


@pytest.fixture(autouse=True)
def _no_machine_in_a_machine(request: pytest.FixtureRequest) -> None:
    if _IN_THE_IMAGE and request.node.get_closest_marker("live"):
        pytest.skip("no machine in a machine; to make it run: ./iolab test outside of the container")
