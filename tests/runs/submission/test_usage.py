"""What a server uses: its processes are the descendants of the init, and a process that has ended uses nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from runs.submission import usage

# An init whose child has a child with three threads and 8 MB.
PROGRAM = """
import os, sys, threading, time
if os.fork() == 0:
    if os.fork() == 0:
        data = bytearray(b"x") * (8 << 20)
        for _ in range(2):
            threading.Thread(target=threading.Event().wait, daemon=True).start()
        while sum(os.times()[:2]) < 0.02:
            pass
        print("ready", flush=True)
    sys.stdin.read()
else:
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def init() -> Iterator[int]:
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout and process.stdin
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
        process.stdin.close()


def test_all_processes_below_the_init_count_and_not_the_init(init: int) -> None:
    assert usage.threads(init) == 1 + 3
    assert usage.memory(init) > 8 << 20
    assert usage.cpu_seconds(init) >= 0.02


def test_a_server_that_has_gone_uses_nothing() -> None:
    with subprocess.Popen(["true"]) as process:
        pass
    assert (usage.threads(process.pid), usage.memory(process.pid), usage.cpu_seconds(process.pid)) == (0, 0, 0.0)
