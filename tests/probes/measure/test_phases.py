"""From records to a Result: the conservation laws on random lives, and that nothing can go missing unnoticed."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.kernel import records, syscalls
from probes.kernel.records import BURST_BUCKETS, LAYOUTS, CallFlag, Kind, Loss, bucket_floor
from probes.measure import phases
from probes.measure.result import Call, ReadyListEvent, Result, SocketCopy
from probes.recording import Probe, Quality, Recording

NUMBERS = syscalls.numbers("x86_64")
STACKS = {1: ["__schedule", "schedule", "do_epoll_wait"], 2: ["try_to_wake_up", "ep_poll_callback", "sock_def_readable"]}
PROBES = [Probe("copy", "tracepoint:skb:skb_copy_datagram_iovec", Quality.BOUNDED)]


def record(kind: Kind, **values: Any) -> Any:
    """A record of the kind, zero where nothing is said."""
    blank: dict[str, Any] = {
        name: "" if ctype == "char" else (0,) * length if length else 0 for name, ctype, length in LAYOUTS[kind].fields
    }
    return LAYOUTS[kind].record(**blank | {"kind": int(kind), "thread": 1} | values)


def recording(stream: list[Any], **losses: int) -> Recording:
    return Recording.new(
        b"".join(map(records.encode, stream)),
        machine={"kernel": "test", "arch": "x86_64", "cpus": 1},
        probes=PROBES,
        losses={loss.name: 0 for loss in Loss} | {"MISSED": 0} | losses,
        seen=len(stream),
        stacks=STACKS,
        end=10**15,
        context={},
    )


@st.composite
def life(draw: st.DrawFn) -> list[Any]:
    """The records of one thread's random but lawful life."""
    ns = st.integers(1, 10**9)
    start = now = draw(st.integers(1, 10**12))
    stream = [record(Kind.THREAD, tid=5, ns_tid=5, ns_tgid=5, start=start, comm="life")]
    out = {"wait": 0, "delay": 0, "preempted": 0, "sleeps": 0, "preemptions": 0}
    calls = runs = 0
    for _ in range(draw(st.integers(0, 12))):
        now += draw(ns)
        what = draw(st.sampled_from(("call", "run", "fault", "preempt")))
        if what == "fault":
            wait, delay = draw(ns), draw(ns)
            stream.append(record(Kind.SLEEP, flags=1, off=now, woken=now + wait, on=now + wait + delay, stack=1, waker_stack=2))
            now += wait + delay
            out["wait"], out["delay"], out["sleeps"] = out["wait"] + wait, out["delay"] + delay, out["sleeps"] + 1
        elif what == "preempt":
            away = draw(ns)
            now += away
            out["preempted"], out["preemptions"] = out["preempted"] + away, out["preemptions"] + 1
        elif what == "run":
            count, each = draw(st.integers(1, 10**6)), draw(st.integers(1, 1000))
            buckets = [0] * BURST_BUCKETS
            buckets[max(i for i in range(BURST_BUCKETS) if bucket_floor(i) <= each)] = count
            stream.append(
                record(
                    Kind.BURST, nr=NUMBERS["recvfrom"], fd=4, ret=-11, count=count, first=now, last=now + 2 * count * each,
                    total=count * each, buckets=tuple(buckets),
                )
            )  # fmt: skip
            now += 2 * count * each
            runs += count
        else:
            enter, waits = now, []
            for _ in range(draw(st.integers(0, 3))):
                now += draw(ns)
                waits.append((draw(ns), draw(ns)))
                stream.append(
                    record(Kind.SLEEP, off=now, woken=now + waits[-1][0], on=now + sum(waits[-1]), stack=1, waker_stack=2)
                )
                now += sum(waits[-1])
            copy, preempted = draw(st.integers(0, 10**6)), draw(st.integers(0, 10**6))
            now += copy + preempted + draw(ns)
            name = draw(st.sampled_from(("recvfrom", "sendto", "epoll_wait", "getpid")))
            stream.append(
                record(
                    Kind.CALL, nr=NUMBERS[name], args=(draw(st.integers(0, 9)), 0, 0, 0), enter=enter, exit=now,
                    ret=draw(st.integers(-120, 70000)), wait=sum(w for w, _ in waits), delay=sum(d for _, d in waits),
                    preempted=preempted, copy=copy, sleeps=len(waits), preemptions=1 if preempted else 0,
                    copied=now if copy else 0,
                )
            )  # fmt: skip
            calls += 1
    now += draw(ns)
    stream.append(record(Kind.EXIT, end=now, calls=calls, bursts=runs, comm="life", **out))
    return stream


@given(life())
@settings(deadline=None)
def test_calls_and_threads_add_up_exactly(stream: list[Any]) -> None:
    result = phases.measure(recording(stream))
    assert result.events.sound, result.events
    everything: list[Any] = [*result.calls, *result.rows]
    for row in everything:
        assert row.total == row.wait + row.sched_delay + row.preempted + row.copy + row.kernel
        assert min(row.total, row.wait, row.sched_delay, row.preempted, row.copy, row.kernel) >= 0
    for call in result.calls:
        assert call.wait == sum(sleep.wait for sleep in call.sleeps)
        assert call.sched_delay == sum(sleep.delay for sleep in call.sleeps) or call.histogram
    for one in result.threads:
        assert one.wall == one.user + one.wait + one.sched_delay + one.preempted + one.copy + one.kernel
        assert one.user >= 0
        assert one.calls == sum(row.count for row in result.rows)


@given(life(), st.data())
@settings(deadline=None)
def test_no_record_goes_missing_unnoticed(stream: list[Any], data: st.DataObject) -> None:
    gone = data.draw(st.integers(0, len(stream) - 1))
    assert not phases.measure(recording(stream[:gone] + stream[gone + 1 :])).events.sound or len(stream) == 1


@pytest.mark.parametrize("loss", ["RING_FULL", "THREADS_FULL", "MISSED", "UNMATCHED"])
def test_every_loss_makes_the_run_unsound(loss: str) -> None:
    stream = [record(Kind.THREAD, start=1), record(Kind.EXIT, end=2)]
    assert phases.measure(recording(stream)).events.sound
    assert not phases.measure(recording(stream, **{loss: 1})).events.sound


@pytest.mark.parametrize(
    ("told", "sound"),
    [
        ([{"copied": 15, "socket": 1}] * 2, True),
        ([{}], True),  # a pipe's, say: no read of this descriptor is told of, and nobody accepted or connected it
        ([{"copied": 15, "socket": 1}, {"copied": 15}], False),
        ([{"copied": 15, "socket": 1}, {"socket": 1}], False),
        ([{"copied": 15, "socket": 1}, {}], False),
        ([{"nr": NUMBERS["accept4"], "ret": 7}, {}], False),
        ([{"nr": NUMBERS["accept4"], "ret": 8}, {}], True),
        ([{"copied": 15, "socket": 1}, {"ret": -11}], True),
        ([{"copied": 15, "socket": 1, "copies": 2}], False),
    ],
)
def test_an_event_that_was_skipped_is_ours_where_its_partner_stands_alone(told: list[dict[str, int]], sound: bool) -> None:
    read = {"nr": NUMBERS["recvfrom"], "enter": 10, "exit": 20, "ret": 5, "args": (7, 0, 0, 0)}
    stream = [record(Kind.THREAD, start=1), *(record(Kind.CALL, **read | one) for one in told)]
    stream.append(record(Kind.EXIT, end=30 + 10 * len(told), calls=len(told)))
    assert phases.measure(recording(stream, PAIRED=3)).events.sound is sound
    stream.insert(1, record(Kind.SOCKET_COPY, socket=1, started=1, copied=2, bytes=5))
    assert not phases.measure(recording(stream, PAIRED=1)).events.sound, "of what io_uring takes nothing else tells"


def test_an_end_alone_is_a_filters_refusal_unless_a_begin_may_have_been_skipped() -> None:
    stream = [record(Kind.THREAD, start=1), record(Kind.EXIT, end=2)]
    assert phases.measure(recording(stream, REFUSED=4)).events.sound
    assert phases.measure(recording(stream, SKIPPED=4)).events.sound
    assert not phases.measure(recording(stream, REFUSED=4, SKIPPED=1)).events.sound


def test_a_worker_of_the_kernel_has_no_user_code() -> None:
    stream = [
        record(Kind.THREAD, start=100, worker=1, comm="server"),
        record(Kind.NAME, at=110, comm="iou-wrk-7"),
        record(Kind.SLEEP, flags=1, off=200, woken=300, on=310, stack=1, waker_stack=2),
        record(Kind.EXIT, end=400, wait=100, delay=10 + 20, birth=150, copy=20, sleeps=1),
    ]
    (thread,) = phases.measure(recording(stream)).threads
    assert (thread.kernel_worker, thread.name, thread.user) == (True, "iou-wrk-7", 0)
    assert (thread.wait, thread.sched_delay, thread.copy, thread.kernel) == (100, 30, 20, 150)
    assert [(one.queue, one.count, one.ns) for one in thread.slept_on] == [("epoll", 1, 100)]
    stream[-1] = record(Kind.EXIT, end=401, wait=100, delay=30, birth=150, copy=20, sleeps=1)
    assert not phases.measure(recording(stream)).events.sound


def one_call(name: str, **values: Any) -> Result:
    values = {"nr": NUMBERS[name], "enter": 10, "exit": 20} | values
    return phases.measure(
        recording([record(Kind.THREAD, start=1), record(Kind.CALL, **values), record(Kind.EXIT, end=30, calls=1)])
    )


def test_a_failed_call_has_its_errno_and_no_bytes() -> None:
    call = one_call("recvfrom", ret=-104, args=(7, 0, 0, 0)).calls[0]
    assert (call.errno, call.bytes, call.fd, call.result) == ("ECONNRESET", 0, 7, -104)


def test_a_call_that_never_returned_has_no_result() -> None:
    call = one_call("exit_group", flags=int(CallFlag.NO_RETURN)).calls[0]
    assert (call.result, call.errno) == (None, None)


def test_a_call_without_a_descriptor_has_none() -> None:
    assert one_call("getpid", args=(3, 0, 0, 0)).calls[0].fd is None


def test_the_register_after_a_signal_handler_is_no_error() -> None:
    assert one_call("rt_sigreturn", ret=-4).calls[0].errno is None


@pytest.mark.parametrize(
    ("name", "ret", "copied", "quality"),
    [
        ("recvfrom", 64, 15, Quality.BOUNDED),
        ("recvfrom", 64, 0, Quality.UNAVAILABLE),
        ("sendto", 64, 0, Quality.UNAVAILABLE),
        ("recvfrom", -11, 0, Quality.MEASURED),
        ("getpid", 64, 0, Quality.MEASURED),
        ("epoll_wait", 1, 0, Quality.UNAVAILABLE),
        ("newfstatat", 0, 0, Quality.UNAVAILABLE),
    ],
)
def test_a_copy_of_zero_is_never_silent(name: str, ret: int, copied: int, quality: Quality) -> None:
    row = one_call(name, ret=ret, copied=copied).rows[0]
    assert row.copy_quality is quality
    assert bool(row.copy_reason) == (quality is Quality.UNAVAILABLE)


def test_a_row_is_as_good_as_the_worst_copy_in_it() -> None:
    copy = Probe("copy", "fentry:skb_copy_datagram_iter", Quality.MEASURED)
    datagrams = Probe("datagram copy", "kprobe:__skb_recv_udp", Quality.BOUNDED)
    stream, datagram = read(10, 20), read(30, 40, linear=True)
    unseen = read(50, 60)
    unseen.copied = None
    assert phases._copy_quality([stream], copy, datagrams)[0] is Quality.MEASURED
    assert phases._copy_quality([stream, datagram], copy, datagrams)[0] is Quality.BOUNDED
    skipped = Probe("datagram copy", None, Quality.UNAVAILABLE, "the kernel skipped it", optional=True)
    assert phases._copy_quality([stream, datagram], copy, skipped) == (Quality.UNAVAILABLE, "the kernel skipped it")
    quality, reason = phases._copy_quality([stream, unseen], copy, datagrams)
    assert quality is Quality.UNAVAILABLE and reason.startswith("the copy of 1 of these calls")


@pytest.mark.parametrize("counted", [True, False])
def test_what_no_probe_counted_is_none_and_not_nought(counted: bool) -> None:
    attached = "fentry:sock_poll" if counted else None
    probes = [*PROBES, Probe("poll methods", attached, Quality.MEASURED if counted else Quality.UNAVAILABLE)]
    told = recording([record(Kind.THREAD, start=1), record(Kind.CALL, nr=NUMBERS["poll"], enter=10, exit=20, polled=5)])
    told.meta["probes"] = [dataclasses.asdict(one) for one in probes]
    result = phases.measure(told)
    assert result.calls[0].polled == result.rows[0].polled == (5 if counted else None)
    assert (result.rows[0].queued, result.listed) == (None, None)


def call(name: str, enter: int, leave: int, **values: Any) -> Call:
    base: dict[str, Any] = {
        "thread": 1, "name": name, "fd": 5, "args": (5, 0, 0, 0), "enter": enter, "exit": leave, "result": 1, "errno": None,
        "bytes": 0, "total": leave - enter, "wait": 0, "sched_delay": 0, "preempted": 0, "copy": 0, "kernel": leave - enter,
    }  # fmt: skip
    return Call(**base | values)


def read(enter: int, leave: int, size: int = 64, **values: Any) -> Call:
    return call("recvfrom", enter, leave, bytes=size, socket=1, copied=leave - 1, drained=True, arrivals=1, **values)


def test_a_multiplexer_told_of_the_message() -> None:
    (message,) = phases.messages([call("epoll_wait", 10, 110), read(120, 130, ready=100)])
    assert (message.ready, message.notified, message.notified_by, message.read) == (100, 110, "epoll_wait", 120)
    assert (message.copied, message.returned, message.ready_to_notified, message.notified_to_copied) == (129, 130, 10, 19)


def test_the_reading_call_itself_tells_when_the_data_lay_there() -> None:
    (message,) = phases.messages([call("epoll_wait", 10, 90), read(120, 130, ready=100)])
    assert (message.notified, message.notified_by) == (120, "recvfrom")


def test_several_reads_of_one_arrival_are_one_message() -> None:
    first = read(120, 130, size=100, ready=100)
    first.drained = False
    last = read(140, 150, size=28, ready=100)
    (message,) = phases.messages([first, last])
    assert (message.bytes, message.reads, message.read, message.returned) == (128, 2, 120, 150)


def test_the_end_of_a_stream_is_no_message() -> None:
    assert not list(phases.messages([call("recvfrom", 120, 130, result=0, socket=1, ready=100)]))


def test_a_completion_tells_of_data_that_is_in_hand_already() -> None:
    taken = [
        SocketCopy(thread=1, socket=1, ready=100, started=120, copied=125, bytes=60, arrivals=1, drained=False),
        SocketCopy(thread=1, socket=1, ready=None, started=126, copied=130, bytes=4, arrivals=0, drained=True),
    ]
    families = {1: (0, 50)}
    waits = [call("io_uring_enter", 90, 150, args=(5, 0, 1, 1)), call("io_uring_enter", 160, 170, args=(5, 0, 1, 1))]
    (message,) = phases.completions(waits, taken, families)
    assert (message.ready, message.read, message.copied, message.notified, message.returned) == (100, 120, 130, 150, 150)
    assert (message.bytes, message.reads, message.notified_to_copied, message.notified_by) == (64, 2, 0, "io_uring_enter")


def test_epolls_callbacks_are_the_threads_that_added_what_they_watch() -> None:
    told = recording([record(Kind.THREAD, start=1), record(Kind.READY_LIST, ready=40, at=50), record(Kind.READY_LIST, at=20)])
    assert phases.measure(told).listed is None, "no probe, no answer"
    probe = Probe("epoll's callback", "fentry:ep_poll_callback", Quality.MEASURED)
    told.meta["probes"] = [dataclasses.asdict(one) for one in (*PROBES, probe)]
    assert phases.measure(told).listed == (ReadyListEvent(1, None, 20), ReadyListEvent(1, 40, 50))


def test_what_recvmmsg_took_is_told_of_before_it_and_in_hand_with_it() -> None:
    batch = call("recvmmsg", 120, 190, result=2)
    taken = [
        SocketCopy(1, socket=1, ready=at, started=130, copied=130 + at, bytes=9, arrivals=1, drained=True) for at in (20, 30)
    ]
    calls = [call("epoll_wait", 10, 110), batch, call("io_uring_enter", 200, 210)]
    found = list(phases.batches(calls, taken))
    assert [(one.ready, one.notified, one.notified_by, one.copied, one.returned) for one in found] == [
        (20, 110, "epoll_wait", 150, 190),
        (30, 110, "epoll_wait", 160, 190),
    ]
    assert not list(phases.completions(calls, taken, {1: (0, 50)}))


@pytest.mark.parametrize(("taker", "told"), [(1, 180), (2, 160), (3, 160), (4, 170), (5, None)])
def test_a_completion_is_told_to_who_asked_for_it(taker: int, told: int | None) -> None:
    """Thread 3 works for thread 2; 4 hands in only, and another of its process waits; in the process of 5 nobody does."""
    families = {1: (0, 50), 2: (0, 50), 3: (2, 50), 4: (0, 60), 5: (0, 70), 6: (0, 60)}
    taken = [SocketCopy(thread=taker, socket=1, ready=100, started=120, copied=125, bytes=60, arrivals=1, drained=True)]
    ends = {6: 170, 2: 160, 1: 180}
    calls = [call("io_uring_enter", 90, end, thread=thread, args=(5, 1, 1, 1)) for thread, end in ends.items()]
    calls.append(call("io_uring_enter", 300, 310, thread=4, args=(5, 1, 0, 0)))
    assert [one.notified for one in phases.completions(calls, taken, families)] == ([] if told is None else [told])


def test_what_is_only_looked_at_moves_nothing_and_is_no_message() -> None:
    peeked, taken = one_call("recvfrom", ret=64, args=(5, 0, 64, 2)), one_call("recvfrom", ret=64, args=(5, 0, 64, 0))
    assert (peeked.calls[0].bytes, taken.calls[0].bytes) == (0, 64)
    assert one_call("recvmsg", ret=64, args=(5, 0, 2, 0)).calls[0].bytes == 0


def test_a_multiplexer_that_a_signal_ended_told_of_nothing() -> None:
    (message,) = phases.messages([call("epoll_wait", 10, 110, result=-4, errno="EINTR"), read(120, 130, ready=100)])
    assert (message.notified, message.notified_by) == (120, "recvfrom")


def test_a_copy_whose_end_was_not_told_is_an_upper_bound() -> None:
    exact = [Probe("copy", "fentry:skb_copy_datagram_iter", Quality.MEASURED)]
    late, whole = (one_call("recvfrom", ret=64, copied=15, copy=3, flags=flag).calls for flag in (CallFlag.COPY_LATE, 0))
    assert [phases.table(one, exact)[0].copy_quality for one in (whole, late)] == [Quality.MEASURED, Quality.BOUNDED]
    assert phases.table([*whole, *late], exact)[0].copy_quality is Quality.BOUNDED


def test_a_call_of_a_32_bit_program_has_a_number_and_no_descriptor() -> None:
    one = one_call("read", nr=3 | syscalls.COMPAT, ret=64).calls[0]
    assert (one.name, one.fd, one.bytes) == ("compat_3", None, 0)


def test_percentiles_of_runs_are_bounds() -> None:
    stream = random.Random(1).choices(range(100, 1000), k=1000)
    histogram = [0] * BURST_BUCKETS
    for ns in stream:
        histogram[max(i for i in range(BURST_BUCKETS) if bucket_floor(i) <= ns)] += 1
    run = call("recvfrom", 0, 10**6, count=1000, histogram=tuple(histogram), total=sum(stream))
    (p50, p99), quality = phases.percentiles([run], 0.5, 0.99)
    assert quality is Quality.BOUNDED
    exact = sorted(stream)
    assert exact[500] <= p50 <= 1.26 * exact[500]
    assert exact[990] <= p99 <= 1.26 * exact[990]
