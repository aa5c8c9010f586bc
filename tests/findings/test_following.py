"""The events of a recording are its calls, in the order of their ends; what was not reported is counted."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from findings.following import Began, Ended, Event, Following, Gone, LeftOut, UnderWay, Wanted
from findings.part import Part
from probes.kernel import records
from probes.kernel.records import Kind, Off
from probes.measure.measure import measure
from probes.measure.reader import Reader
from probes.measure.result import Call
from tests.conftest import recording_of
from tests.probes.measure.streams import NUMBERS, STACKS, record, recording


def events(name: str, wanted: Wanted | None = None) -> tuple[list[Event], Following]:
    whole = recording_of(name)
    following = Following(Reader(dataclasses.replace(whole, data=b"")), wanted or Wanted())
    return [*following.read(whole.data), *following.end()], following


@pytest.mark.parametrize("name", ["faults/convoy-right", "faults/spins-eagain", "faults/leaks-children"])
def test_the_events_are_the_calls_of_the_report(name: str) -> None:
    found, following = events(name)
    calls = [event.call for event in found if isinstance(event, Ended)]
    key = lambda call: (call.enter, call.thread)  # noqa: E731
    assert sorted(calls, key=key) == sorted(measure(recording_of(name)).calls, key=key)
    assert not any(isinstance(event, LeftOut) for event in found)
    assert following.shown == following.seen == sum(call.count for call in calls)


def test_a_call_has_what_ended_its_sleeps() -> None:
    found, following = events("faults/chain-threads")
    causes = [cause for event in found if isinstance(event, Ended) for _, cause in event.slept]
    named = {following.names(cause.thread) for cause in causes if cause.thread is not None}
    assert named and all(name.split()[-1].isdigit() for name in named)


def test_threads_begin_and_end() -> None:
    found, _ = events("faults/leaks-children")
    began = [event for event in found if isinstance(event, Began)]
    assert began[0].creator is None and all(event.creator for event in began[1:])
    assert len([event for event in found if isinstance(event, Gone)]) == len(began)


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        (Wanted(Part(calls=("recv*",))), lambda call: call.name.startswith("recv")),
        (Wanted(errors=True), lambda call: call.errno is not None),
        (Wanted(slower_than=1_000_000), lambda call: call.total >= 1_000_000),
        (Wanted(Part(fds=(3,)), errors=True), lambda call: call.fd == 3 and call.errno),
    ],
)
def test_only_wanted_calls_are_events(wanted: Wanted, fits: Callable[[Call], object]) -> None:
    found, following = events("pausing_client", wanted)
    calls = measure(recording_of("pausing_client")).calls
    assert {type(event) for event in found} <= {Ended}
    assert len(found) == len([call for call in calls if fits(call)]) > 0
    assert following.seen > following.shown


def test_calls_that_were_not_reported_are_counted_in_their_place() -> None:
    born = record(Kind.THREAD, tid=7, ns_tid=7, ns_tgid=7, start=1, comm="server")
    first, last = (record(Kind.CALL, nr=NUMBERS["getpid"], enter=at, exit=at + 1) for at in (10, 50))
    state = record(Kind.STATE, made=40)
    end = record(Kind.EXIT, end=90, made=46, calls=2, bursts=10)
    blank = recording([])
    following = Following(Reader(dataclasses.replace(blank, stacks=STACKS)), Wanted())
    burst = record(Kind.BURST, nr=NUMBERS["read"], count=10, first=20, last=30)
    found = [
        *following.read(packed(born, first)),
        *following.moment(packed(state, burst)),
        *following.read(packed(burst, last, end)),
    ]
    assert [type(event) for event in found] == [Began, Ended, LeftOut, Ended, Ended, LeftOut, Gone]
    assert [event.calls for event in found if isinstance(event, LeftOut)] == [29, 5], "a burst that is open will be reported"
    assert (following.shown, following.left_out) == (12, 34)


def test_what_is_under_way_is_said_where_nothing_happens() -> None:
    following = Following(Reader(recording([])), Wanted())
    assert list(following.read(packed(record(Kind.THREAD, tid=7, ns_tid=7, ns_tgid=7, start=1, comm="server"))))
    state = record(Kind.STATE, at=900, off=int(Off.ASLEEP), off_at=100, nr=NUMBERS["epoll_wait"], stack=1, made=20)
    burst = record(Kind.BURST, nr=NUMBERS["read"], count=20, first=20, last=30)
    asleep, spins = following.moment(packed(state, burst))
    assert isinstance(asleep, UnderWay) and (asleep.call, asleep.queue, asleep.since) == ("epoll_wait", "epoll", 100)
    assert isinstance(spins, UnderWay) and spins.burst and spins.burst.count == 20


def test_threads_that_sleep_alike_are_one_event() -> None:
    following = Following(Reader(recording([])), Wanted())
    born = [record(Kind.THREAD, thread=n, tid=n, ns_tid=n, ns_tgid=1, start=1, comm=f"pool-{n}") for n in range(1, 51)]
    assert list(following.read(packed(*born)))
    state = {"at": 900, "off": int(Off.ASLEEP), "nr": NUMBERS["futex"], "stack": 1}
    (event,) = following.moment(packed(*(record(Kind.STATE, thread=n, off_at=500 - n, **state) for n in range(1, 51))))
    assert isinstance(event, UnderWay) and (event.thread.name, event.others, event.since) == ("pool-50", 49, 450)


def packed(*items: object) -> bytes:
    return b"".join(map(records.encode, items))


def test_calls_that_give_or_take_an_address_have_it() -> None:
    """The kernel side reports the address after the call that gives it, and the end of a socket before its close."""
    found, _ = events("faults/sockets-addresses")
    calls = [event for event in found if isinstance(event, Ended)]
    named = {(event.call.name, event.socket is not None) for event in calls if event.call.errno in (None, "EINPROGRESS")}
    assert {(name, True) for name in ("bind", "connect")} <= named
    assert not {(name, False) for name in ("bind", "connect")} & named
    closed = [event.socket.local for event in calls if event.call.name == "close" and event.socket]
    assert len(closed) > 4 and len(set(closed)) > 1
    assert [event.call.exit for event in calls if event.thread.serial == 1] == sorted(
        event.call.exit for event in calls if event.thread.serial == 1
    )


def test_the_events_of_other_threads_wait_for_an_address() -> None:
    """Without a record of the address, the call comes with the next record of its thread, or at the end of the piece."""
    following = Following(Reader(recording([])), Wanted())
    born = [record(Kind.THREAD, thread=n, tid=n, ns_tid=n, ns_tgid=1, start=1, comm="server") for n in (1, 2)]
    assert list(following.read(packed(*born)))
    connects = record(Kind.CALL, nr=NUMBERS["connect"], args=(5, 0, 0, 0), enter=10, exit=11)
    other = record(Kind.CALL, thread=2, nr=NUMBERS["getpid"], enter=12, exit=13)
    later = record(Kind.CALL, nr=NUMBERS["getpid"], enter=14, exit=15)
    for piece in (packed(connects, other, later), packed(connects, other)):
        ended = [event for event in following.read(piece) if isinstance(event, Ended)]
        assert [event.at for event in ended] == [11, 13, 15][: len(ended)] and len(ended) >= 2
