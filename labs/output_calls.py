"""The output calls write, writev, send, sendto and sendmsg, with a send buffer that is full: asleep, or EAGAIN."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from typing import Any

from findings import evidence
from labs.kit.experiment import Sections, later, tcp_pair
from labs.kit.lab import Finding, Lab, Run, confirmed, failed
from probes.kernel import syscalls

LAB = Lab(
    model="blocking and non-blocking",
    chapter="Terms and calls",
    question="What do output calls wait for?",
    watch="a call that finds the send buffer full sleeps there, until the reader makes room; non-blocking it is refused.",
    try_next=(
        "invoke lab input_calls  the same for input",
        "invoke lab epoll        where a full buffer is waited for by EPOLLOUT",
    ),
    reading=(
        "UNP 2.11, TCP Output; 14.2 to 14.5",
        "man 2 send, man 7 tcp (SO_SNDBUF)",
        "net/core/stream.c: sk_stream_wait_memory; net/ipv4/tcp.c: tcp_sendmsg_locked",
    ),
    experiment="labs.output_calls:experiment",
    picture=False,  # of what it receives, which is not what it is about
)
DATA = b"x" * 4096
SETTLED = 0.06  # seconds; a confirmation may be delayed by 40 ms (TCP_DELACK_MIN)
CALLS: dict[str, Callable[[socket.socket], object]] = {
    "write": lambda s: os.write(s.fileno(), DATA),
    "writev": lambda s: os.writev(s.fileno(), [DATA]),
    "send": lambda s: s.send(DATA),
    "sendto": lambda s: s.sendto(DATA, s.getpeername()),
    "sendmsg": lambda s: s.sendmsg([DATA]),
}


def experiment() -> dict[str, Any]:
    """Each call twice, on a connection that is full: non-blocking, and blocking with a reader that comes later."""
    section = Sections()
    for name, call in CALLS.items():
        with tcp_pair() as (here, there):
            here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            here.setblocking(False)
            fill = CALLS["write" if name == "writev" else "writev"]  # another call: EAGAINs of one kind become one run
            fill_up(here, fill)
            section(f"{name}, non-blocking")
            try:
                call(here)
            except BlockingIOError:
                pass
            section("between")
            here.setblocking(True)
            with later(lambda there=there: drain(there)):  # type: ignore[misc]
                section(f"{name}, blocking")
                call(here)
                section("between")
                here.shutdown(socket.SHUT_WR)
    return section.found()


def fill_up(sock: socket.socket, call: Callable[[socket.socket], object]) -> None:
    """Sends until there is no room, and none SETTLED later either: what is under way makes room when it is confirmed."""
    settled = False
    while True:
        try:
            call(sock)
            settled = False
        except BlockingIOError:
            if settled:
                return
            time.sleep(SETTLED)
            settled = True


def drain(sock: socket.socket) -> None:
    """Reads to the end."""
    while sock.recv(65536):
        pass


@LAB.check("blocking, each sleeps until there is room", claims=("C08",))
def asleep(run: Run) -> Finding:
    """In its section each call slept on the queue of the send buffer, and was woken for room."""
    good = []
    for name in CALLS:
        calls = [one for one in run.sections.get(f"{name}, blocking", []) if one.name in syscalls.WRITES]
        if any(s.queue == "send buffer" for one in calls for s in one.sleeps):
            good.append(name)
    found = f"{len(good)} of {len(CALLS)} calls slept for room in the send buffer: {', '.join(good)}"
    return confirmed(found) if len(good) == len(CALLS) else failed(found)


@LAB.check("non-blocking, each is refused at once", claims=("C08",))
def refused(run: Run) -> Finding:
    """In its section each call got EAGAIN without a sleep."""
    return evidence.each_refused(run, CALLS, syscalls.WRITES)
