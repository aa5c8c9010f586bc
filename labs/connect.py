"""connect: it waits like an output call, for the handshake. On loopback the handshake often ends before connect could sleep."""

from __future__ import annotations

import contextlib
import select
import socket
from typing import Any

from labs.kit.experiment import Sections, later
from labs.kit.lab import Finding, Lab, Run, confirmed, failed, refined
from labs.kit.questions.sections import what_it_does, what_wakes_it, where_it_sleeps
from probes.words import count, ms

LAB = Lab(
    model="blocking and non-blocking",
    chapter="Terms and calls",
    question="What does connect wait for, and where?",
    watch="where the listener has room, loopback answers within the call; with a full backlog connect sleeps until a retry"
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
    """Connects to a listener with room, to a full listener (it is emptied later), and, non-blocking, to a full listener."""
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
    return section.outcome()


@LAB.check("connect waits like an output call", claims=("C10",))
def waits(run: Run) -> Finding:
    """Connect slept on its socket's queue while the backlog was full, and got EINPROGRESS when non-blocking. With room it need
    not sleep.
    """
    full = [call for call in run.sections.get("full", []) if call.name == "connect"]
    quick = [call for call in run.sections.get("room", []) if call.name == "connect"]
    begun = [call for call in run.sections.get("non-blocking", []) if call.errno == "EINPROGRESS" and not call.sleeps]
    asleep = [sleep for call in full for sleep in call.sleeps if sleep.queue == "connect"]
    awake = [call for call in quick if not call.sleeps]
    evidence = (
        f"full backlog: {count(len(asleep), 'sleep')} on the connecting socket's queue ({ms(sum(s.wait for s in asleep))});"
        f" non-blocking: {count(len(begun), 'call')} got EINPROGRESS without a sleep;"
        f" with room: {len(awake)} of {count(len(quick), 'call')} did not sleep"
    )
    if not asleep or not begun:
        return failed(evidence)
    return refined(f"{evidence}, because loopback completes the handshake within the call") if awake else confirmed(evidence)


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
