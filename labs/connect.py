"""connect: it waits like an output call, for the handshake. On loopback the handshake often ends before connect could sleep."""

from __future__ import annotations

import contextlib
import select
import socket
from typing import Any

from labs.kit.experiment import Sections, later, tcp_pair
from labs.kit.lab import Finding, Lab, Run, failed, refined
from labs.kit.questions.sections import what_it_does, what_wakes_it, where_it_sleeps
from labs.output_calls import CALLS, DATA, drain, fill_up
from probes.kernel.syscalls import MULTIPLEXERS
from probes.measure.result import Call, Sleep
from probes.words import count, ms

LAB = Lab(
    model="blocking and non-blocking",
    chapter="Terms and calls",
    question="What does connect wait for, and where?",
    watch="if the listener has room, loopback answers within the call; with a full backlog connect sleeps until a retry"
    " succeeds.",
    try_next=(
        "invoke lab accept        the server's side of the handshake",
        "invoke lab output_calls  the calls that connect resembles",
    ),
    reading=(
        "UNP 4.3 and 16.3 (non-blocking connect)",
        "man 2 connect, man 2 listen (what a full backlog does)",
        "net/ipv4/af_inet.c: __inet_stream_connect",
    ),
    experiment="labs.connect:experiment",
)


def experiment() -> dict[str, Any]:
    """Connects to a listener with room, to a full listener (it is emptied later), and, non-blocking, to a full listener.

    Then sends into a full send buffer, non-blocking and blocking, to compare.
    """
    section = Sections()
    with contextlib.ExitStack() as stack:
        quick = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        section("room")
        stack.enter_context(socket.create_connection(quick.getsockname()))
        section("between")
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        stack.enter_context(socket.create_connection(full.getsockname()))
        client = stack.enter_context(socket.socket())
        with later(lambda: full.accept()[0].close()):
            section("full")
            client.connect(full.getsockname())
            section("between")
        other = stack.enter_context(socket.socket())
        other.setblocking(False)
        section("non-blocking")
        other.connect_ex(full.getsockname())
        section("notified")
        full.accept()[0].close()
        select.select([], [other], [], 5)
        section("between")
    with tcp_pair() as (here, there):
        here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        here.setblocking(False)
        fill_up(here, CALLS["write"])
        section("send, non-blocking")
        with contextlib.suppress(BlockingIOError):
            here.send(DATA)
        section("between")
        here.setblocking(True)
        with later(lambda: drain(there)):
            section("send, blocking")
            here.send(DATA)
            section("between")
            here.shutdown(socket.SHUT_WR)
    return section.outcome()


@LAB.check("connect waits like an output call", claims=("C10",))
def waits(run: Run) -> Finding:
    """Blocking, connect and send slept on a queue of their socket until a packet woke them. Non-blocking, send got EAGAIN and
    must be called again; connect got EINPROGRESS, goes on, and select reported the socket writable at its end.
    """
    full, send = _until_packet(run, "full", "connect"), _until_packet(run, "send, blocking", "send buffer")
    begun = _got(run, "non-blocking", "connect", "EINPROGRESS")
    refused = _got(run, "send, non-blocking", "sendto", "EAGAIN")
    notified = [call for call in run.sections.get("notified", []) if call.name in MULTIPLEXERS and call.result == 1]
    quick = [call for call in run.sections.get("room", []) if call.name == "connect"]
    awake = [call for call in quick if not call.sleeps]
    words = (
        f"full backlog: {count(len(full), 'sleep')} of connect until a packet came ({ms(sum(s.wait for s in full))}), full send"
        f" buffer: {count(len(send), 'sleep')} of send; non-blocking: {count(len(begun), 'connect')} got EINPROGRESS where"
        f" {count(len(refused), 'send')} got EAGAIN, and {count(len(notified), 'wait')} reported the socket writable"
    )
    if not (full and send and begun and refused and notified):
        return failed(words)
    more = f"; with room {len(awake)} of {count(len(quick), 'connect')} did not sleep, since loopback answers within the call"
    return refined(words + more if awake else words)


def _until_packet(run: Run, section: str, queue: str) -> list[Sleep]:
    return [
        sleep
        for call in run.sections.get(section, [])
        for sleep in call.sleeps
        if sleep.queue == queue and sleep.waker and sleep.waker.by_packet
    ]


def _got(run: Run, section: str, name: str, errno: str) -> list[Call]:
    """The calls of that name that got that error without a sleep."""
    return [call for call in run.sections.get(section, []) if call.name == name and call.errno == errno and not call.sleeps]


FULL = "The listener's backlog is full for 20 ms. A blocking connect"
ROOM = "The listener has room. A blocking connect over loopback"

LAB.ask(
    what_it_does("room", {"connect"}, ROOM),
    what_it_does("full", {"connect"}, FULL),
    what_it_does("non-blocking", {"connect"}, "The listener's backlog is full. A non-blocking connect"),
    where_it_sleeps("full", {"connect"}, FULL),
    where_it_sleeps("room", {"connect"}, ROOM),
    what_wakes_it("full", {"connect"}, FULL),
)
