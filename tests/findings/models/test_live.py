"""Real servers, run and classified here. IOLAB_SERVERS=all runs every server of servers.toml that is installed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from findings.models.classify import classify
from probes.measure.measure import measure
from tests.findings.models.real import Real, record, servers

pytestmark = pytest.mark.live
_ALL = os.environ.get("IOLAB_SERVERS") == "all"


@pytest.mark.parametrize("server", servers(), ids=lambda server: server.name)
def test_a_real_server_is_classified_right(kernel: None, tmp_path: Path, server: Real) -> None:
    if not server.in_ci and not _ALL:
        pytest.skip("runs with IOLAB_SERVERS=all; its recording is in tests/data/servers, if it is small")
    if not server.installed:
        pytest.skip(f"{server.program} is missing; to make it run: {server.package}")
    tmp_path.chmod(0o755)  # some servers run as another user
    result = measure(record(server, tmp_path / "run"))
    assert result.events.sound, result.events
    found = classify(result)
    assert found.model in server.models and found.architecture in server.architectures, found
