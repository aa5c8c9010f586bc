"""accept: it waits like an input call, for a connection instead of data."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Set
from typing import Any

from labs.kit.experiment import Sections, later, tcp_pair
from labs.kit.lab import Finding, Lab, Run, confirmed, failed
from labs.kit.questions.sections import what_it_does, what_wakes_it, where_it_sleeps
from probes.kernel import syscalls
from probes.measure.queues import place
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
    """Accepts a client that connects later; then, non-blocking, calls accept without a client. The same with recv."""
    section = Sections()
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
        with later(lambda: client.connect(listener.getsockname())):
            section("blocking")
            listener.accept()[0].close()
            section("between")
        listener.setblocking(False)
        section("non-blocking")
        with contextlib.suppress(BlockingIOError):
            listener.accept()
        section("between")
    with tcp_pair() as (here, there):
        with later(lambda: there.send(b"x")):
            section("recv, blocking")
            here.recv(1)
            section("between")
        here.setblocking(False)
        section("recv, non-blocking")
        with contextlib.suppress(BlockingIOError):
            here.recv(1)
        section("between")
    return section.outcome()


@LAB.check("accept waits like an input call", claims=("C09",))
def waits(run: Run) -> Finding:
    """Blocking accept and recv slept on a queue of their socket until a packet woke them; non-blocking both got EAGAIN."""
    accept, recv = (
        _waited(run, "", syscalls.ACCEPTS, "accept"),
        _waited(run, "recv, ", syscalls.READS, "socket"),
    )
    good = [name for name, (slept, refused, _words) in (("accept", accept), ("recv", recv)) if slept and refused]
    words = f"accept, blocking: {accept[2]}; recv, blocking: {recv[2]}"
    return confirmed(words) if len(good) == 2 else failed(words)


def _waited(run: Run, prefix: str, kind: Set[str], queue: str) -> tuple[bool, bool, str]:
    """Did each blocking call of a kind sleep on the queue until a packet came, and did each non-blocking call get EAGAIN?"""
    blocking, other = (
        [call for call in run.sections.get(f"{prefix}{name}", []) if call.name in kind] for name in ("blocking", "non-blocking")
    )
    slept = [call for call in blocking if any(s.queue == queue and s.waker and s.waker.by_packet for s in call.sleeps)]
    refused = [call for call in other if call.errno == "EAGAIN" and not call.sleeps]
    words = (
        f"{len(slept)} of {count(len(blocking), 'call')} slept {place(queue)} until a packet came; non-blocking: {len(refused)}"
        f" of {count(len(other), 'call')} got EAGAIN without a sleep"
    )
    return 0 < len(slept) == len(blocking), 0 < len(refused) == len(other), words


BLOCKING = "No client has connected; a client connects 20 ms later. A blocking accept"

LAB.ask(
    what_it_does("blocking", syscalls.ACCEPTS, BLOCKING),
    what_it_does("non-blocking", syscalls.ACCEPTS, "No client has connected. A non-blocking accept"),
    where_it_sleeps("blocking", syscalls.ACCEPTS, BLOCKING),
    what_wakes_it("blocking", syscalls.ACCEPTS, BLOCKING),
)
