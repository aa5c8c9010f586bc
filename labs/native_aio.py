"""Linux native AIO on sockets: is a submitted read asynchronous?"""

from __future__ import annotations

import ctypes
import socket
import threading
import time
from typing import Any

from findings import evidence
from labs.kit.lab import Finding, Lab, Run, confirmed, failed, refuted, unavailable

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


@LAB.check("native AIO reports readiness, and the thread itself copies the data", claims=("C44",))
def readiness(run: Run) -> Finding:
    """The thread slept in io_getevents, and its own recvfrom made every copy."""
    return evidence.all_of(evidence.slept_only_on(run, "native aio"), evidence.read_without_waiting(run))


@LAB.check("io_submit of a read returns before the data arrives", claims=("C42",))
def returns_at_once(run: Run) -> Finding:
    """A read of an empty blocking socket is submitted; the data arrives later, and io_submit takes as long."""
    if not run.aside:
        return unavailable("the experiment beside the traffic did not run")
    if not run.calls("io_submit"):
        return failed("this server made 0 calls of io_submit")
    took, pause = run.aside["submit_ms"], run.aside["pause_ms"]
    words = f"data arrived after {pause} ms; io_submit of a read of a blocking socket took {took} ms"
    return refuted(f"{words}: the calling thread waited, and copied") if took >= 0.9 * pause else confirmed(words)


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
