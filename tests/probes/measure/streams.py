"""Streams of records, recordings and calls made by hand, for tests of pure decoding and measuring."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from probes.context import TraceRun
from probes.kernel import records, syscalls
from probes.kernel.records import BURST_BUCKETS, LAYOUTS, Kind, Loss, bucket_floor
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


def recording(stream: list[Any], **losses: int) -> Recording:
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
