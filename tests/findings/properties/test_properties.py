"""Each property on recordings of servers that hold it, break it, or don't show it. Wrong servers of the same model run live:
tests/labs/test_wrong_servers.py.
"""

from __future__ import annotations

import dataclasses

import pytest

from findings.properties import ALL, Holds, Property
from findings.properties.computes_little import COMPUTES_LITTLE
from findings.properties.echoes_every_byte import ECHOES_EVERY_BYTE
from findings.properties.never_spins import NEVER_SPINS
from findings.view import Run
from probes.context import Seen, ServerRun, TraceRun
from probes.measure.result import Sleep
from tests.conftest import measured

# For each property: recordings (and their case) that hold it, and others that break it with words of their evidence.
HOLDING = {
    "blocks-in-its-reads": [("threads", ""), ("thread_pool", ""), ("processes", ""), ("process_pool", ""), ("blocking", "")],
    "echoes-every-byte": [("epoll", ""), ("threads", "")],
    "never-spins": [
        ("epoll", ""),
        ("select", ""),
        ("blocking", ""),
        ("posix_aio", ""),
        ("io_uring", "single"),
        ("signal_driven", ""),
    ],
    "needs-no-short-time-out": [
        ("epoll", ""),
        ("asyncio", ""),
        ("thread_pool", ""),
        ("lost_signal", "mended"),
        ("native_aio", ""),
        ("slow_handler", "broken"),
    ],
    "blocks-only-in-its-wait": [
        ("epoll", ""),
        ("epoll_edge", ""),
        ("poll", ""),
        ("asyncio", ""),
        ("signal_driven", ""),
        ("posix_aio", ""),
    ],
    "leaves-no-data-unread": [
        ("epoll", ""),
        ("epoll_edge", ""),
        ("threads", ""),
        ("signal_driven", ""),
        ("short_write", "mended"),
    ],
    "computes-little": [("epoll", ""), ("select", ""), ("asyncio", ""), ("thundering_herd", "in epoll")],
    "serves-in-turn": [("epoll", ""), ("edge_starvation", "mended"), ("threads", "")],
    "one-mechanism": [("epoll", ""), ("select", ""), ("signal_driven", ""), ("io_uring", "single")],
    "non-blocking-connections": [("epoll", ""), ("asyncio", ""), ("poll", ""), ("blocking_accepted", "event loop, mended")],
    "accepts-every-connection": [("epoll", ""), ("processes", ""), ("thundering_herd", "reuseport")],
    "closes-ended-connections": [("epoll", ""), ("threads", ""), ("asyncio", "")],
    "reads-large-pieces": [("epoll", ""), ("edge_starvation", "mended"), ("edge_undrained", "mended")],
}
BREAKING = {
    "blocks-in-its-reads": [("nonblocking", "", "of recvfrom without data (EAGAIN)"), ("epoll", "", "epoll_wait")],
    "never-spins": [
        ("nonblocking", "", "a read or accept returned EAGAIN"),
        ("poll_pause", "2 ms", "EAGAIN"),
    ],
    "needs-no-short-time-out": [("poll_pause", "2 ms", "clock_nanosleep"), ("poll_pause", "10 ms", "after 10.")],
    "blocks-only-in-its-wait": [
        ("slow_handler", "broken", "15 times in clock_nanosleep"),
        ("thundering_herd", "in epoll", "recvfrom"),
    ],
    "leaves-no-data-unread": [
        ("edge_undrained", "broken", "with 744 unread bytes (3 sockets)"),
        ("lost_signal", "broken", "had unread data while the thread slept in its wait"),
    ],
    "serves-in-turn": [("edge_starvation", "broken", "reads of other connections while data was unread")],
    "one-mechanism": [("files", "", "2 times by select and 2 times by poll")],
    "non-blocking-connections": [("blocking_accepted", "event loop", "no call set O_NONBLOCK for 4 of 4 connections")],
}
# These are broken by recordings that a test changes, below, and by the servers of labs/wrong.
CHANGED = {
    "echoes-every-byte",
    "accepts-every-connection",
    "closes-ended-connections",
    "computes-little",
    "reads-large-pieces",
}


def run_of(name: str, case: str) -> Run:
    run = Run(measured(name))
    return run.case(case) if case else run


def by_id(name: str) -> Property:
    return next(each for each in ALL if each.id == name)


def test_every_property_has_recordings_that_hold_it_and_break_it() -> None:
    names = {each.id for each in ALL}
    assert set(HOLDING) == names
    assert set(BREAKING) | CHANGED == names


@pytest.mark.parametrize(("name", "lab", "case"), [(name, *where) for name, found in HOLDING.items() for where in found])
def test_a_property_is_held(name: str, lab: str, case: str) -> None:
    seen = by_id(name).observe(run_of(lab, case))
    assert seen.holds is Holds.HELD, seen.evidence
    assert any(letter.isdigit() for letter in seen.evidence)


@pytest.mark.parametrize(
    ("name", "lab", "case", "words"), [(name, *where) for name, found in BREAKING.items() for where in found]
)
def test_a_property_is_broken(name: str, lab: str, case: str, words: str) -> None:
    seen = by_id(name).observe(run_of(lab, case))
    assert seen.holds is Holds.BROKEN, seen.evidence
    assert words in seen.evidence


def test_an_event_loop_that_waits_for_the_disk_blocks() -> None:
    result = measured("epoll")
    at = next(at for at, call in enumerate(result.calls) if call.name == "sendto")
    sleep = Sleep(1, 2_000_001, 2_000_002, "disk", ("io_schedule",), None)
    written = dataclasses.replace(result.calls[at], name="fsync", sleeps=(sleep,), socket=None)
    slow = dataclasses.replace(result, calls=(*result.calls[:at], written, *result.calls[at:]))
    seen = by_id("blocks-only-in-its-wait").observe(Run(slow))
    assert seen.holds is Holds.BROKEN
    assert "1 time in fsync" in seen.evidence or "once in fsync" in seen.evidence


def test_bytes_that_never_came_back_are_counted() -> None:
    result = measured("epoll")
    assert isinstance(result.context, ServerRun)
    first, second, *rest = result.context.traffic_seen.clients
    waiting = dataclasses.replace(second, gave_up="no byte came for 4.0 s", not_echoed=640)
    context = dataclasses.replace(result.context, traffic_seen=Seen((first, waiting, *rest)))
    broken = dataclasses.replace(result, context=context)
    seen = ECHOES_EVERY_BYTE.observe(Run(broken))
    assert seen.holds is Holds.BROKEN
    assert "640 bytes of 1 client were never echoed (1 client: no byte came for 4.0 s)" in seen.evidence


def test_a_connection_that_is_not_accepted_is_counted() -> None:
    result = measured("epoll")
    first = next(call for call in result.calls if call.name == "accept4")
    without = dataclasses.replace(result, calls=tuple(call for call in result.calls if call is not first))
    seen = by_id("accepts-every-connection").observe(Run(without))
    assert seen.holds is Holds.BROKEN
    assert "never accepted 1 of 3 connections" in seen.evidence


def test_a_connection_that_is_closed_only_at_the_end_is_counted() -> None:
    result = measured("epoll")
    ends = {call.fd for call in result.calls if call.name == "recvfrom" and call.result == 0}
    calls = tuple(call for call in result.calls if call.name != "close" or call.fd not in ends)
    seen = by_id("closes-ended-connections").observe(Run(dataclasses.replace(result, calls=calls)))
    assert seen.holds is Holds.BROKEN
    assert "never closed 3 of 3 connections" in seen.evidence


def test_small_reads_that_leave_data_are_counted() -> None:
    result = measured("epoll")
    calls = []
    for call in result.calls:
        if call.name == "recvfrom" and call.bytes:
            part = dataclasses.replace(call, args=(call.args[0], call.args[1], 8, *call.args[3:]), bytes=8, drained=False)
            calls += [part] * 7
        calls.append(call)
    seen = by_id("reads-large-pieces").observe(Run(dataclasses.replace(result, calls=tuple(calls))))
    assert seen.holds is Holds.BROKEN
    assert "asked for 8 bytes each on average" in seen.evidence and "7 reads per message" in seen.evidence


def test_messages_that_arrive_while_the_thread_computes_wait() -> None:
    """The calls of each turn take 100 ns here, so that its user code is most of it; each message arrives within a turn."""
    result = measured("select")
    calls = [
        call if call.name == "pselect6" else dataclasses.replace(call, total=100, kernel=100, copy=0) for call in result.calls
    ]
    messages = [dataclasses.replace(message, ready=message.read) for message in result.messages]
    computing = Run(dataclasses.replace(result, calls=tuple(calls), messages=tuple(messages)))
    seen = COMPUTES_LITTLE.observe(computing)
    assert seen.holds is Holds.BROKEN
    assert "the thread computed for up to" in seen.evidence
    burst = dataclasses.replace(calls[0], name="clock_gettime", exit=calls[-1].exit, histogram=(1,))
    unordered = Run(dataclasses.replace(computing.result, calls=(burst, *calls)))
    assert COMPUTES_LITTLE.observe(unordered).holds is Holds.NOT_SHOWN  # these calls may lie anywhere among the others


def test_the_end_of_a_connection_that_is_read_again_and_again_is_spinning() -> None:
    result = measured("select")
    end = next(call for call in result.calls if call.name == "recvfrom" and call.result == 0)
    at = result.calls.index(end)
    six = dataclasses.replace(result, calls=(*result.calls[:at], *[end] * 6, *result.calls[at + 1 :]))
    five = dataclasses.replace(result, calls=(*result.calls[:at], *[end] * 5, *result.calls[at + 1 :]))
    assert NEVER_SPINS.observe(Run(five)).holds is Holds.HELD
    seen = NEVER_SPINS.observe(Run(six))
    assert seen.holds is Holds.BROKEN
    assert "6 times a read of one ended connection, which was not closed, returned 0 bytes" in seen.evidence


def test_a_run_without_any_call_shows_nothing() -> None:
    empty = dataclasses.replace(measured("epoll"), calls=(), messages=(), threads=(), context=TraceRun())
    assert {each.observe(Run(empty)).holds for each in ALL} == {Holds.NOT_SHOWN}
