"""The output calls write, writev, send, sendto and sendmsg with a full send buffer: blocking calls sleep, others get EAGAIN."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from typing import Any

from findings import evidence
from labs.kit.experiment import Sections, later, tcp_pair
from labs.kit.lab import Finding, Lab, Run, confirmed, failed
from labs.kit.questions.sections import what_it_does, what_wakes_it, where_it_sleeps
from probes.kernel import syscalls
from probes.measure.result import Call
from probes.words import count

LAB = Lab(
    model="blocking and non-blocking",
    chapter="Terms and calls",
    question="What do output calls wait for?",
    watch="a blocking call sleeps while the send buffer is full, until the reader makes room; a non-blocking call gets EAGAIN.",
    try_next=(
        "invoke lab input_calls  the same for input",
        "invoke lab epoll        EPOLLOUT reports room in the buffer",
    ),
    reading=(
        "UNP 2.11, TCP Output; 14.2 to 14.5",
        "man 2 send, man 7 tcp (SO_SNDBUF)",
        "net/core/stream.c: sk_stream_wait_memory; net/ipv4/tcp.c: tcp_sendmsg_locked",
    ),
    experiment="labs.output_calls:experiment",
    picture=False,  # it would show a read; this lab is about sending
)
DATA = b"x" * 4096
SETTLED = 0.06  # seconds; TCP may delay an acknowledgement by 40 ms (TCP_DELACK_MIN)
CALLS: dict[str, Callable[[socket.socket], object]] = {
    "write": lambda s: os.write(s.fileno(), DATA),
    "writev": lambda s: os.writev(s.fileno(), [DATA]),
    "send": lambda s: s.send(DATA),
    "sendto": lambda s: s.sendto(DATA, s.getpeername()),
    "sendmsg": lambda s: s.sendmsg([DATA]),
}


SYSTEM_CALLS = {name: "sendto" if name == "send" else name for name in CALLS}  # as the kernel knows them


def experiment() -> dict[str, Any]:
    """Each call twice, with a full send buffer: non-blocking, and blocking with a peer that reads later."""
    section = Sections()
    for name, call in CALLS.items():
        with tcp_pair() as (here, there):
            here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            here.setblocking(False)
            fill = CALLS["write" if name == "writev" else "writev"]  # another call: EAGAINs of the same call are one burst
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
    return section.outcome()


def fill_up(sock: socket.socket, call: Callable[[socket.socket], object]) -> None:
    """Sends until the buffer is full, and still full SETTLED later: acknowledgements that are under way make room again."""
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
    """Reads until the peer has closed."""
    while sock.recv(65536):
        pass


def slept_for_room(call: Call) -> bool:
    """Did a packet, the reader's acknowledgement, end a sleep of the call on the queue of the send buffer?"""
    return any(sleep.queue == "send buffer" and sleep.waker and sleep.waker.by_packet for sleep in call.sleeps)


@LAB.check("every blocking output call sleeps until the send buffer has room", claims=("C08",))
def asleep(run: Run) -> Finding:
    """In its section each call slept on the queue of the send buffer until a packet came, and then sent all bytes."""
    good = []
    for name in CALLS:
        calls = [call for call in run.sections.get(f"{name}, blocking", []) if call.name == SYSTEM_CALLS[name]]
        if any(slept_for_room(call) and call.bytes == len(DATA) for call in calls):
            good.append(name)
    words = (
        f"{len(good)} of {count(len(CALLS), 'call')} slept until the send buffer had room, and sent {len(DATA):,} B:"
        f" {', '.join(good) or 'none'}"
    )
    return confirmed(words) if len(good) == len(CALLS) else failed(words)


@LAB.check("every non-blocking output call gets EAGAIN at once", claims=("C08",))
def refused(run: Run) -> Finding:
    """In its section each call got EAGAIN without a sleep."""
    return evidence.each_got_eagain(run, SYSTEM_CALLS)


FULL = "The send buffer is full; the peer reads 20 ms later. A blocking"
STILL_FULL = "The send buffer is full. A non-blocking"

LAB.ask(
    *(what_it_does(f"{name}, blocking", syscalls.WRITES, f"{FULL} {name}") for name in ("write", "writev", "send", "sendmsg")),
    *(what_it_does(f"{name}, non-blocking", syscalls.WRITES, f"{STILL_FULL} {name}") for name in ("write", "send", "sendmsg")),
    where_it_sleeps("send, blocking", syscalls.WRITES, f"{FULL} send"),
    what_wakes_it("send, blocking", syscalls.WRITES, f"{FULL} send"),
)
