"""connect: it waits like an output call, for the handshake. On loopback that is often over before it could sleep."""

from __future__ import annotations

import contextlib
import select
import socket
from typing import Any

from labs.kit.experiment import Sections, later
from labs.kit.lab import Finding, Lab, Run, confirmed, failed, refined

LAB = Lab(
    model="blocking and non-blocking",
    chapter="Terms and calls",
    question="What does connect wait for, and where?",
    watch="with room loopback answers within the call; with a full backlog connect sleeps until a retry gets through.",
    try_next=(
        "invoke lab accept        the other side",
        "invoke lab output_calls  which it resembles",
    ),
    reading=(
        "UNP 4.3 and 16.3 (non-blocking connect)",
        "man 2 connect, man 2 listen (what a full backlog does)",
        "net/ipv4/af_inet.c: __inet_stream_connect",
    ),
    experiment="labs.connect:experiment",
)


def experiment() -> dict[str, Any]:
    """Connects to a listener with room, to a full one (which is emptied later), and, non-blocking, to a full one."""
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
        section("told")
        full.accept()[0].close()
        select.select([], [other], [], 5)
        section("between")
    return section.found()


@LAB.check("it waits like an output call", claims=("C10",))
def waits(run: Run) -> Finding:
    """Against a full backlog it slept on its own queue; non-blocking it got EINPROGRESS; with room it need not sleep."""
    full = [one for one in run.sections.get("full", []) if one.name == "connect"]
    quick = [one for one in run.sections.get("room", []) if one.name == "connect"]
    begun = [one for one in run.sections.get("non-blocking", []) if one.errno == "EINPROGRESS" and not one.sleeps]
    asleep = [s for one in full for s in one.sleeps if s.queue == "connect"]
    awake = [one for one in quick if not one.sleeps]
    found = (
        f"full backlog: {len(asleep)} sleep on the queue of connect ({sum(s.wait for s in asleep) / 1e6:.0f} ms);"
        f" non-blocking: {len(begun)} EINPROGRESS without a sleep; with room: {len(awake)} of {len(quick)} did not sleep"
    )
    if not asleep or not begun:
        return failed(found)
    return refined(f"{found}, as loopback answers inside the call") if awake else confirmed(found)
