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
    watch="an io_submit for each message, and still a recvfrom: it only tells when it can be read.",
    try_next=(
        "invoke lab epoll  told of readiness without asking again",
        "invoke lab io_uring  its successor",
    ),
    reading=(
        "man 2 io_submit, man 2 io_getevents",
        "fs/aio.c: aio_read, aio_poll, read_events",
    ),
    asides=("labs.native_aio:submit_a_read",),
)


@LAB.check("readiness only: the thread copies by itself", claims=("C44",))
def readiness(run: Run) -> Finding:
    """It slept in io_getevents, and made every copy in its own recvfrom."""
    return evidence.together(evidence.asleep_only_in(run, "native aio"), evidence.read_without_waiting(run))


@LAB.check("a submitted read of a blocking socket blocks in io_submit", claims=("C42",))
def blocks(run: Run) -> Finding:
    """The text says that the call returns at once. On an empty socket io_submit took as long as the data did."""
    if not run.aside:
        return unavailable("the experiment beside the traffic did not run")
    if not run.calls("io_submit"):
        return failed("this server made 0 calls of io_submit")
    took, pause = run.aside["submit_ms"], run.aside["pause_ms"]
    found = f"data sent after {pause} ms: io_submit of a read of a blocking socket took {took} ms"
    return refuted(f"{found}: it waited, and copied, in the thread that asked") if took >= 0.9 * pause else confirmed(found)


def submit_a_read() -> dict[str, Any]:
    """How long io_submit of a read takes when the data comes 100 ms later."""
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
