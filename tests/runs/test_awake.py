"""A thread that never sleeps is found among the children of a process; a thread that sleeps is not."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labs.kit.lab import Case
from labs.kit.traffic import Traffic
from runs.awake import Awake, awake, until_asleep
from runs.lab import serve


@contextlib.contextmanager
def parent_of(work: Callable[[], object]) -> Iterator[int]:
    """A process whose child does this work."""
    reader, writer = os.pipe()
    parent = os.fork()
    if parent == 0:
        os.setpgid(0, 0)
        if os.fork() == 0:
            os.write(writer, b"x")
            while True:
                work()
        signal.pause()
    try:
        os.read(reader, 1)
        yield parent
    finally:
        os.killpg(parent, signal.SIGKILL)
        os.waitpid(parent, 0)
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize(("work", "found"), [(signal.pause, False), (lambda: None, True)], ids=["sleeps", "polls"])
def test_a_thread_that_never_sleeps(work: Callable[[], object], found: bool) -> None:
    with parent_of(work) as parent:
        thread = asyncio.run(awake(parent))
    assert bool(thread) == found, thread
    assert thread is None or (thread.looks > 2 and thread.cpu > 0.2)


@pytest.mark.parametrize(("work", "asleep"), [(signal.pause, True), (lambda: None, False)], ids=["sleeps", "polls"])
def test_until_all_threads_sleep(work: Callable[[], object], asleep: bool) -> None:
    with parent_of(work) as parent:
        assert until_asleep(parent, 1 if asleep else 0.05) == asleep


def test_a_server_handles_the_end_of_its_clients_before_it_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVED", str(tmp_path / "served"))
    serve(Case("", "tests.runs.ends_late:serve"), Traffic(clients=1, messages=1, gap_ms=1), cookie=None)
    assert (tmp_path / "served").exists()


def test_the_words() -> None:
    words = Awake("server", 30, 1.04, 0.3).words
    assert words == (
        "thread server never slept: it ran, or waited for a CPU, at each of 30 checks within 1.0 s, and used 300 ms of CPU time"
    )
