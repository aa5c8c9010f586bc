"""The rows of the comparison, derived from recordings by rules that don't know the model."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import pytest

from labs.kit.compare import WORKER, Crowd, Row, models, row
from probes.phases import measure
from probes.recording import Recording
from reports import comparison
from servers.__main__ import models as servers

PHASES = {
    "asyncio": ("epoll_wait on epoll", "recvfrom"),
    "blocking": ("recvfrom on socket", "recvfrom"),
    "epoll": ("epoll_wait on epoll", "recvfrom"),
    "epoll_edge": ("epoll_wait on epoll", "recvfrom"),
    "io_uring": ("io_uring_enter on io_uring", "io_uring_enter"),
    "native_aio": ("io_getevents on native aio", "recvfrom"),
    "nonblocking": ("awake: ", "recvfrom"),
    "poll": ("poll on poll", "recvfrom"),
    "posix_aio": (f"read on socket{WORKER}", f"read{WORKER}"),
    "process_pool": (f"recvfrom on socket{WORKER}", f"recvfrom{WORKER}"),
    "processes": (f"recvfrom on socket{WORKER}", f"recvfrom{WORKER}"),
    "select": ("pselect6 on select", "recvfrom"),
    "selectors": ("epoll_wait on epoll", "recvfrom"),
    "signal_driven": ("rt_sigtimedwait on signal", "recvfrom"),
    "thread_pool": (f"recvfrom on socket{WORKER}", f"recvfrom{WORKER}"),
    "threads": (f"recvfrom on socket{WORKER}", f"recvfrom{WORKER}"),
}


def made(name: str, recorded: Callable[[str], Recording]) -> Row:
    recording = recorded(name)
    return row(name, measure(recording.with_context(witness={"memory_bytes": 1_000_000})))


def test_every_server_is_compared() -> None:
    assert models() == servers() == sorted(PHASES)


@pytest.mark.parametrize("name", sorted(PHASES))
def test_the_two_phases_of_each_model(name: str, recorded: Callable[[str], Recording]) -> None:
    one = made(name, recorded)
    assert one.phase_1.startswith(PHASES[name][0])
    assert one.phase_2 == PHASES[name][1]
    assert one.messages > 0 and one.sound
    assert one.ready_to_told_ns is not None and one.told_to_copied_ns is not None
    assert (one.told_to_copied_ns == 0) == (name == "io_uring"), "only a completion tells of data that is there already"


def test_the_table_fits_80_columns_and_says_who_wins(recorded: Callable[[str], Recording]) -> None:
    rows = [made(name, recorded) for name in models()]
    crowds = [
        Crowd(1, {"threads": 100, "select": 150, "epoll": 160}),
        Crowd(200, {"threads": 300, "select": 400, "epoll": 200}),
    ]
    file = io.StringIO()
    comparison.write(rows, crowds, "some traffic", file)
    text = file.getvalue()
    assert max(map(len, text.splitlines())) <= 80 and "…" not in text
    words = " ".join(text.split())
    assert "At 1 connection threads answers first" in words and "At 200 connections epoll answers first" in words
    assert "nonblocking takes" in words


def test_json_has_every_model(recorded: Callable[[str], Recording]) -> None:
    file = io.StringIO()
    comparison.write([made("epoll", recorded)], [Crowd(1, {"epoll": 5})], "", file, json=True)
    found = json.loads(file.getvalue())
    assert found["schema_version"] == 1 and found["models"][0]["model"] == "epoll" and found["crowds"][0]["winner"] == "epoll"
