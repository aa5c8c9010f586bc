"""accept: it waits like an input call, for a connection instead of data."""

from __future__ import annotations

import socket
from typing import Any

from labs.kit.experiment import Sections, later
from labs.kit.lab import Finding, Lab, Run, confirmed, failed
from probes.kernel import syscalls

LAB = Lab(
    model="blocking and non-blocking",
    chapter="Terms and calls",
    question="What does accept wait for, and where?",
    watch="asleep on the listener's own queue, woken by the packet that completes the handshake; no data is copied.",
    try_next=(
        "invoke lab connect      the other side",
        "invoke lab input_calls  which it resembles",
    ),
    reading=(
        "UNP 4.6 and 16.6 (non-blocking accept)",
        "man 2 accept",
        "net/ipv4/inet_connection_sock.c: inet_csk_accept",
    ),
    experiment="labs.accept:experiment",
)


def experiment() -> dict[str, Any]:
    """Accepts a client that comes later, and, non-blocking, one that does not."""
    section = Sections()
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
        with later(lambda: client.connect(listener.getsockname())):
            section("blocking")
            listener.accept()[0].close()
            section("between")
        listener.setblocking(False)
        section("non-blocking")
        try:
            listener.accept()
        except BlockingIOError:
            section("between")
    return section.found()


@LAB.check("it waits like an input call", claims=("C09",))
def waits(run: Run) -> Finding:
    """Blocking it slept on the listener's queue until a packet woke it, non-blocking it got EAGAIN."""
    blocking = [one for one in run.sections.get("blocking", []) if one.name in syscalls.ACCEPTS]
    other = [one for one in run.sections.get("non-blocking", []) if one.name in syscalls.ACCEPTS]
    asleep = [s for one in blocking for s in one.sleeps if s.queue == "accept" and s.waker and s.waker.chain[0] == "packet"]
    refused = [one for one in other if one.errno == "EAGAIN" and not one.sleeps]
    found = (
        f"{len(asleep)} sleep on the queue of accept, ended by a packet; non-blocking: {len(refused)} EAGAIN without a sleep"
    )
    return confirmed(found) if asleep and refused and len(refused) == len(other) else failed(found)
