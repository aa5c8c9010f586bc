"""accept: it waits like an input call, for a connection instead of data."""

from __future__ import annotations

import socket
from typing import Any

from labs.kit.experiment import Sections, later
from labs.kit.lab import Finding, Lab, Run, confirmed, failed
from labs.kit.questions.sections import what_it_does, what_wakes_it, where_it_sleeps
from probes.kernel import syscalls
from probes.words import count

LAB = Lab(
    model="blocking and non-blocking",
    chapter="Terms and calls",
    question="What does accept wait for, and where?",
    watch="accept sleeps on the listener's own queue; the packet that completes the handshake wakes it; no data is copied.",
    try_next=(
        "invoke lab connect      the client's side of the handshake",
        "invoke lab input_calls  the calls that accept resembles",
    ),
    reading=(
        "UNP 4.6 and 16.6 (non-blocking accept)",
        "man 2 accept",
        "net/ipv4/inet_connection_sock.c: inet_csk_accept",
    ),
    experiment="labs.accept:experiment",
)


def experiment() -> dict[str, Any]:
    """Accepts a client that connects later; then, non-blocking, calls accept when no client has connected."""
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
    return section.outcome()


@LAB.check("accept waits like an input call", claims=("C09",))
def waits(run: Run) -> Finding:
    """The blocking accept slept on the listener's queue until a packet woke it; the non-blocking accept got EAGAIN."""
    blocking = [call for call in run.sections.get("blocking", []) if call.name in syscalls.ACCEPTS]
    non_blocking = [call for call in run.sections.get("non-blocking", []) if call.name in syscalls.ACCEPTS]
    ended_by_packet = [
        sleep for call in blocking for sleep in call.sleeps if sleep.queue == "accept" and sleep.waker and sleep.waker.by_packet
    ]
    refused = [call for call in non_blocking if call.errno == "EAGAIN" and not call.sleeps]
    evidence = (
        f"blocking: {count(len(ended_by_packet), 'sleep')} on the listener's queue, ended by a packet;"
        f" non-blocking: {len(refused)} of {count(len(non_blocking), 'call')} got EAGAIN without a sleep"
    )
    return confirmed(evidence) if ended_by_packet and refused and len(refused) == len(non_blocking) else failed(evidence)


BLOCKING = "No client has connected; a client connects 20 ms later. A blocking accept"

LAB.ask(
    what_it_does("blocking", syscalls.ACCEPTS, BLOCKING),
    what_it_does("non-blocking", syscalls.ACCEPTS, "No client has connected. A non-blocking accept"),
    where_it_sleeps("blocking", syscalls.ACCEPTS, BLOCKING),
    what_wakes_it("blocking", syscalls.ACCEPTS, BLOCKING),
)
