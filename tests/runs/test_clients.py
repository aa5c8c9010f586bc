"""The client that sends and reads nothing for a while, against a server that waits for room and one that does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from labs.kit.traffic import Traffic
from probes import shapes
from probes.context import Client, Seen
from runs.clients import describe
from tests.conftest import ROOT
from tests.servers.running import started

TRAFFIC = Traffic(clients=1, messages=2, gap_ms=5, late_ms=40)


def clients_of(server: str) -> tuple[Client, ...]:
    """What the clients of that server saw: the last line that they print."""
    with started(server) as (_process, port):
        line = [sys.executable, "-m", "runs.clients", "127.0.0.1", str(port), describe(TRAFFIC), str(os.getpid())]
        done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        seen: Seen = shapes.read(Seen, json.loads(done.stdout.splitlines()[-1]), "clients")
        return seen.clients


def test_a_client_that_reads_late_is_served_and_the_others_as_well() -> None:
    (client,) = clients_of("textbook.selectors:mended")
    assert len(client.exchanges) == 2 and not client.gave_up


def test_a_server_that_closes_on_the_late_client_does_not_hold_up_the_clients() -> None:
    (client,) = clients_of("textbook.selectors:broken")
    assert len(client.exchanges) == 2 and not client.gave_up
