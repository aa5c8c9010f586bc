"""Streams of records, recordings and calls made by hand, for tests of pure decoding and measuring."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from probes.context import TraceRun
from probes.kernel import records, syscalls
from probes.kernel.records import BURST_BUCKETS, LAYOUTS, SUM_BUCKETS, Kind, Loss, Outcome, bucket_floor
from probes.measure.measure import measure
from probes.measure.result import Call, Result
from probes.recording import Machine, Probe, Quality, Recording

NUMBERS = syscalls.numbers("x86_64")
STACKS = {1: ("__schedule", "schedule", "do_epoll_wait"), 2: ("try_to_wake_up", "ep_poll_callback", "sock_def_readable")}
PROBES = (Probe("copy", "tracepoint:skb:skb_copy_datagram_iovec", Quality.BOUNDED),)


def record(kind: Kind, **values: Any) -> Any:
    """A record of the kind, zero where nothing is said."""
    blank: dict[str, Any] = {
        name: "" if ctype == "char" else (0,) * length if length else 0 for name, ctype, length in LAYOUTS[kind].fields
    }
    return LAYOUTS[kind].record(**blank | {"kind": int(kind), "thread": 1} | values)


def summed(stream: list[Any]) -> list[Any]:
    """The stream with the kernel side's sums in the records of threads' ends, as its records of calls and sleeps have them."""
    return [_with_sums(item, stream) if item.kind == Kind.EXIT and not item.made else item for item in stream]


def _with_sums(end: Any, stream: list[Any]) -> Any:
    calls = [item for item in stream if item.kind == Kind.CALL and item.thread == end.thread]
    bursts = [item for item in stream if item.kind == Kind.BURST and item.thread == end.thread]
    return end._replace(
        made=len(calls) + sum(burst.count for burst in bursts),
        in_total=sum(call.exit - call.enter for call in calls) + sum(burst.total for burst in bursts),
        in_wait=sum(call.wait for call in calls),
        in_delay=sum(item.delay for item in calls + bursts),
        in_preempted=sum(item.preempted for item in calls + bursts),
        in_copy=sum(call.copy for call in calls),
        in_sleeps=sum(call.sleeps for call in calls),
        in_preemptions=sum(item.preemptions for item in calls + bursts),
        reported=end.sleeps,
        reported_wait=end.wait,
    )


def rows(stream: list[Any]) -> list[Any]:
    """The rows of sums that belong to the calls of a stream."""
    made: dict[tuple[int, int, int], Any] = {}
    for item in stream:
        if item.kind not in (Kind.CALL, Kind.BURST):
            continue
        key = (item.thread, item.nr, item.ret if item.ret <= 0 else Outcome.DONE)
        row = made.get(key) or record(Kind.SUM, thread=item.thread, nr=item.nr, outcome=key[2])
        made[key] = _added(row, item)
    return list(made.values())


def _added(row: Any, item: Any) -> Any:
    burst = item.kind == Kind.BURST
    total = item.total if burst else item.exit - item.enter
    buckets = list(row.buckets)
    for index, number in enumerate(item.buckets) if burst else ((bucket(total), 1),):
        buckets[index] += number
    moves = syscalls.names("x86_64")[item.nr] in syscalls.MOVES_BYTES and item.ret > 0
    return row._replace(
        count=row.count + (item.count if burst else 1),
        bytes=row.bytes + (item.ret if moves and not burst else 0),
        total=row.total + total,
        wait=row.wait + (0 if burst else item.wait),
        delay=row.delay + item.delay,
        preempted=row.preempted + item.preempted,
        copy=row.copy + (0 if burst else item.copy),
        sleeps=row.sleeps + (0 if burst else item.sleeps),
        preemptions=row.preemptions + item.preemptions,
        longest=max(row.longest, item.longest if burst else total),
        buckets=tuple(buckets),
    )


def bucket(ns: int) -> int:
    """The bucket of a duration in a sum."""
    return max(index for index in range(SUM_BUCKETS) if bucket_floor(index) <= ns)


def recording(stream: list[Any], **losses: int) -> Recording:
    """A recording of these records, with the sums that belong to them."""
    return as_it_is(summed(stream), **losses)


def as_it_is(stream: list[Any], **losses: int) -> Recording:
    """A recording of these records."""
    return Recording(
        b"".join(map(records.encode, stream)),
        machine=Machine(kernel="test", arch="x86_64", cpus=1),
        probes=PROBES,
        losses={loss.name: 0 for loss in Loss} | {"MISSED": 0} | losses,
        seen=len(stream),
        stacks=STACKS,
        end=10**15,
        context=TraceRun(),
    )


_NS = st.integers(1, 10**9)


@st.composite
def life(draw: st.DrawFn) -> list[Any]:
    """The records of one thread's random but lawful life."""
    start = now = draw(st.integers(1, 10**12))
    stream = [record(Kind.THREAD, tid=5, ns_tid=5, ns_tgid=5, start=start, comm="life")]
    out = {"wait": 0, "delay": 0, "preempted": 0, "sleeps": 0, "preemptions": 0}
    for _ in range(draw(st.integers(0, 12))):
        now += draw(_NS)
        what = draw(st.sampled_from(("call", "burst", "fault", "preempt")))
        if what == "fault":
            fault = _sleep(draw, now, flags=1)
            stream.append(fault)
            now = fault.on
            out["wait"] += fault.woken - fault.off
            out["delay"] += fault.on - fault.woken
            out["sleeps"] += 1
        elif what == "preempt":
            away = draw(_NS)
            now += away
            out["preempted"] += away
            out["preemptions"] += 1
        elif what == "burst":
            stream.append(_burst(draw, now))
            now = stream[-1].last
        else:
            stream += _call(draw, now)
            now = stream[-1].exit
    calls = sum(item.kind == Kind.CALL for item in stream)
    bursts = sum(item.count for item in stream if item.kind == Kind.BURST)
    stream.append(record(Kind.EXIT, end=now + draw(_NS), calls=calls, bursts=bursts, comm="life", **out))
    return stream


def _sleep(draw: st.DrawFn, off: int, **values: Any) -> Any:
    wait, delay = draw(_NS), draw(_NS)
    return record(Kind.SLEEP, off=off, woken=off + wait, on=off + wait + delay, stack=1, waker_stack=2, **values)


def _burst(draw: st.DrawFn, first: int) -> Any:
    """Reads without result, one after the other."""
    count, each = draw(st.integers(1, 10**6)), draw(st.integers(1, 1000))
    buckets = [0] * BURST_BUCKETS
    buckets[max(index for index in range(BURST_BUCKETS) if bucket_floor(index) <= each)] = count
    return record(
        Kind.BURST, nr=NUMBERS["recvfrom"], fd=4, ret=-11, count=count, first=first, last=first + 2 * count * each,
        total=count * each, longest=each, buckets=tuple(buckets),
    )  # fmt: skip


def _call(draw: st.DrawFn, enter: int) -> list[Any]:
    """The sleeps of a call, then the call."""
    sleeps: list[Any] = []
    now = enter
    for _ in range(draw(st.integers(0, 3))):
        sleeps.append(_sleep(draw, now + draw(_NS)))
        now = sleeps[-1].on
    copy, preempted = draw(st.integers(0, 10**6)), draw(st.integers(0, 10**6))
    now += copy + preempted + draw(_NS)
    name = draw(st.sampled_from(("recvfrom", "sendto", "epoll_wait", "getpid")))
    call = record(
        Kind.CALL, nr=NUMBERS[name], args=(draw(st.integers(0, 9)), 0, 0, 0), enter=enter, exit=now,
        ret=draw(st.integers(-120, 70000)), wait=sum(sleep.woken - sleep.off for sleep in sleeps),
        delay=sum(sleep.on - sleep.woken for sleep in sleeps), preempted=preempted, copy=copy, sleeps=len(sleeps),
        preemptions=1 if preempted else 0, copied=now if copy else 0,
    )  # fmt: skip
    return [*sleeps, call]


def one_call(name: str, **values: Any) -> Result:
    values = {"nr": NUMBERS[name], "enter": 10, "exit": 20} | values
    return measure(recording([record(Kind.THREAD, start=1), record(Kind.CALL, **values), record(Kind.EXIT, end=30, calls=1)]))


def call(name: str, enter: int, leave: int, **values: Any) -> Call:
    base: dict[str, Any] = {
        "thread": 1, "name": name, "fd": 5, "args": (5, 0, 0, 0), "enter": enter, "exit": leave, "result": 1, "errno": None,
        "bytes": 0, "total": leave - enter, "wait": 0, "sched_delay": 0, "preempted": 0, "copy": 0, "kernel": leave - enter,
    }  # fmt: skip
    return Call(**base | values)


def read(enter: int, leave: int, size: int = 64, **values: Any) -> Call:
    return call("recvfrom", enter, leave, bytes=size, socket=1, copied=leave - 1, drained=True, arrivals=1, **values)
