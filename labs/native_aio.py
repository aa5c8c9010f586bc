"""Linux native AIO on sockets: is a submitted read asynchronous?"""

from __future__ import annotations

import ctypes
import socket
import threading
import time
from typing import Any

from findings import evidence
from findings.properties.blocks_only_in_its_wait import BLOCKS_ONLY_IN_ITS_WAIT
from findings.properties.needs_no_short_time_out import NEEDS_NO_SHORT_TIME_OUT
from findings.properties.never_spins import NEVER_SPINS
from findings.properties.one_mechanism import ONE_MECHANISM
from labs.kit import asides
from labs.kit.lab import Finding, Lab, Run, confirmed, failed, refuted, sleeps, unavailable, waited
from probes.kernel import syscalls
from probes.measure.result import Verdict
from probes.words import count

LAB = Lab(
    model="native_aio",
    chapter="Asynchronous",
    server="native_aio",
    question="What is asynchronous about Linux native AIO on a socket?",
    watch="an io_submit for each message, and still a recvfrom: the completion reports only that the socket is readable.",
    try_next=(
        "invoke lab epoll  registered once, and not for each message",
        "invoke lab io_uring  the successor of native AIO",
    ),
    reading=(
        "man 2 io_submit, man 2 io_getevents",
        "fs/aio.c: aio_read, aio_poll, read_events",
    ),
    asides=("labs.native_aio:submit_a_read",),
)
AIO_POLL = {"AIO's request (aio_poll_wake)", "AIO's completion (aio_complete)"}


@LAB.check("the thread sleeps in io_getevents until a poll completes, and in no call on a socket", claims=("C44",))
def waits(run: Run) -> Finding:
    """A packet completed the poll (aio_poll_wake), and that ended the sleep."""
    slept = [call for call in run.result.calls if call.name in syscalls.AIO_WAITS and call.sleeps]
    completed = [sleep for sleep in sleeps(slept) if sleep.waker and AIO_POLL & set(sleep.waker.chain)]
    on_sockets = [call for call in run.result.calls if waited(call)]
    words = (
        f"the thread slept {count(len(sleeps(slept)), 'time')} in io_getevents, and a completed poll ended {len(completed)}"
        f" of these sleeps; {count(len(on_sockets), 'call')} slept on a socket"
    )
    most = completed and len(completed) + 1 >= 0.8 * len(sleeps(slept))  # 1: the end of the server
    return confirmed(words) if most and not on_sockets else failed(words)


@LAB.check("the kernel copies the data into the buffer of the request", claims=("C44",))
def copied(run: Run) -> Finding:
    """The completion reports only that the socket can be read: the server's own recvfrom makes every copy."""
    submits = sum(max(call.result or 0, 0) for call in run.calls("io_submit"))
    if not submits or not run.calls("io_getevents", "io_pgetevents"):
        return failed(f"io_submit submitted {count(submits, 'request')}: this server does not use native AIO")
    found = evidence.read_without_waiting(run)
    if found.verdict is not Verdict.CONFIRMED:
        return found
    return refuted(
        f"{found.evidence}, after io_getevents had reported the sockets: the program's own thread copies, in recvfrom, so that"
        " native AIO on a socket is a multiplexer (Reactor), and not a Proactor"
    )


@LAB.check("a poll reports once, so that each report costs one more request", claims=("C44",))
def one_shot(run: Run) -> Finding:
    """Each completed poll is submitted anew, unless its connection has ended."""
    submitted = sum(max(call.result or 0, 0) for call in run.calls("io_submit"))
    waits = run.result.named(*syscalls.AIO_WAITS)
    completed = sum(max(call.result or 0, 0) for call in waits)
    descriptors = {call.result for call in run.connections}
    serving = max((call.enter for call in waits), default=0)  # the end of the program closes what is still open
    closed = sum(1 for call in run.calls("close") if call.fd in descriptors and call.enter < serving)
    missing = 1 + len(run.connections) + completed - closed - submitted
    words = (
        f"{count(submitted, 'request')} for {count(completed, 'completion')}, {count(len(run.connections), 'connection')}"
        f" and {count(len(run.result.messages), 'message')}"
    )
    if not completed or missing > 1:
        lost = count(max(missing, 0), "completed poll")
        return failed(f"{words}; {lost} had no successor: the kernel reports nothing more there")
    return confirmed(words)


@LAB.check("io_submit of a read returns before the data arrives", claims=("C42",))
def returns_at_once(run: Run) -> Finding:
    """A read of an empty blocking socket is submitted; the data arrives later, and io_submit takes as long."""
    aside = asides.of(run)
    took, pause = aside.submit_ms, aside.pause_ms
    if not pause:
        return unavailable(asides.NOT_RUN)
    if not run.calls("io_submit"):
        return failed("this server made 0 calls of io_submit")
    words = f"data arrived after {pause} ms; io_submit of a read of a blocking socket took {took} ms"
    return refuted(f"{words}: the calling thread waited, and copied") if took >= 0.9 * pause else confirmed(words)


LAB.holds(NEVER_SPINS, claims=("C44",))
LAB.holds(NEEDS_NO_SHORT_TIME_OUT, claims=("C44",))
LAB.holds(BLOCKS_ONLY_IN_ITS_WAIT, claims=("C42",))
LAB.holds(ONE_MECHANISM, claims=("C44",))


def submit_a_read() -> dict[str, Any]:
    """How long io_submit of a read takes when the data arrives 100 ms later."""
    from servers.kit.native_aio import READ, Context

    pause = 0.1
    here, there = socket.socketpair()
    memory = ctypes.create_string_buffer(64)
    context = Context()
    later = threading.Timer(pause, there.send, (b"x",))
    later.start()
    begin = time.monotonic()
    context.submit(READ, here.fileno(), ctypes.addressof(memory), 64)
    took = time.monotonic() - begin
    (done,) = context.completions()
    later.join()
    context.close()
    return {"pause_ms": round(1000 * pause), "submit_ms": round(1000 * took), "result": done[1]}
