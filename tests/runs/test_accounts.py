"""The kernel's own accounts of a process: a witness has their growth since a moment."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import IO

import pytest

from runs import accounts

# At each line it computes for 20 ms, starts a thread, and takes 4 MB.
PROGRAM = """
import sys, threading, time
kept = []
print("ready", flush=True)
for _ in sys.stdin:
    begin = time.process_time()
    while time.process_time() - begin < 0.02:
        pass
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    kept.append(bytearray(b"x") * (4 << 20))
    print("done", flush=True)
"""


class Worker:
    def __init__(self, process: subprocess.Popen[bytes], stdin: IO[bytes], stdout: IO[bytes]) -> None:
        self.pid, self._stdin, self._stdout = process.pid, stdin, stdout
        self._stdout.readline()

    def work(self) -> None:
        self._stdin.write(b"\n")
        self._stdin.flush()
        self._stdout.readline()


@pytest.fixture
def worker() -> Iterator[Worker]:
    command = [sys.executable, "-I", "-S", "-c", PROGRAM]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        yield Worker(process, process.stdin, process.stdout)
        process.kill()


def test_a_witness_has_the_growth_since_its_accounts(worker: Worker) -> None:
    worker.work()
    before = accounts.accounts(worker.pid)
    worker.work()
    grown = accounts.witness(worker.pid, before)
    assert 15_000_000 < grown.cpu_ns < before.cpu_ns + 40_000_000
    assert grown.more_threads == 1 and grown.voluntary_switches >= 1
    assert grown.memory_bytes > 8 << 20 and grown.rss_bytes >= grown.memory_bytes
    assert grown.cpu_ns <= accounts.cpu_ns(worker.pid)


def test_a_witness_of_a_process_at_rest_has_nothing(worker: Worker) -> None:
    grown = accounts.witness(worker.pid, accounts.accounts(worker.pid))
    assert (grown.cpu_ns, grown.more_threads, grown.voluntary_switches) == (0, 0, 0)
