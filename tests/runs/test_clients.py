"""The process of the clients, and a client that sends but does not read for a while: a server may wait for room in its send
buffer, or close the connection.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

from labs.kit.traffic import Traffic
from probes import shapes
from probes.context import Client, Seen
from runs.clients import Request, encoded
from tests.conftest import ROOT
from tests.servers.running import started

TRAFFIC = Traffic(clients=1, messages=2, gap_ms=5, late_ms=40)


def sent(*requests: Request) -> subprocess.CompletedProcess[str]:
    """What the process of the clients prints for these requests."""
    line, lines = [sys.executable, "-m", "runs.clients", str(os.getpid())], [f"{encoded(request)}\n" for request in requests]
    return subprocess.run(line, input="".join(lines), cwd=ROOT, capture_output=True, text=True, timeout=60)


def clients_of(server: str) -> tuple[Client, ...]:
    """What the clients of that server saw: the last line that they print."""
    with started(server) as (_process, port):
        done = sent(Request("127.0.0.1", port, TRAFFIC))
        assert done.returncode == 0, done.stderr
        seen: Seen = shapes.read(Seen, json.loads(done.stdout.splitlines()[-1]), "clients")
        return seen.clients


def test_a_client_that_reads_late_is_served_and_the_others_as_well() -> None:
    (client,) = clients_of("textbook.selectors:mended")
    assert len(client.exchanges) == 2 and not client.gave_up


def test_a_server_that_closes_on_the_late_client_does_not_hold_up_the_clients() -> None:
    (client,) = clients_of("textbook.selectors:broken")
    assert len(client.exchanges) == 2 and not client.gave_up


def test_one_process_sends_one_traffic_after_the_other() -> None:
    with started("blocking") as (_process, port):
        done = sent(*(Request("127.0.0.1", port, Traffic(clients=1, messages=number, gap_ms=1)) for number in (1, 3)))
    half, first, again, second = done.stdout.splitlines()
    assert (half, again, done.returncode) == ("half", "half", 0)
    assert [len(json.loads(seen)["clients"][0]["exchanges"]) for seen in (first, second)] == [1, 3]


def test_a_traffic_that_fails_ends_the_process_with_the_reason() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))  # and does not listen
        request = Request("127.0.0.1", sock.getsockname()[1], Traffic(silent_ms=1))
        done = sent(request, request)
    assert done.returncode == 1 and done.stderr.count("a client's connection failed: ") == 1
