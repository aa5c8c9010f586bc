"""The input calls read, readv, recv, recvfrom and recvmsg: blocking calls pass both phases, others get EAGAIN."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

from findings import evidence
from labs.kit.experiment import Sections, later, tcp_pair
from labs.kit.lab import Finding, Lab, Run, confirmed, failed
from labs.kit.questions.sections import what_it_does, what_wakes_it, where_it_sleeps
from probes.kernel import syscalls
from probes.words import count

LAB = Lab(
    model="blocking and non-blocking",
    chapter="Terms and calls",
    question="Do all input calls behave alike, in blocking and in non-blocking mode?",
    watch="five calls in ten sections: each sleeps and copies, or gets EAGAIN at once. (recv makes the system call recvfrom.)",
    try_next=(
        "invoke lab output_calls  the same for output",
        "invoke lab blocking      a server that uses one of these calls",
    ),
    reading=(
        "UNP 14.3 to 14.5, readv, recvmsg and their flags",
        "man 2 recv, man 2 readv",
        "net/ipv4/tcp.c: tcp_recvmsg_locked; net/core/sock.c: sk_wait_data",
    ),
    experiment="labs.input_calls:experiment",
)
CALLS: dict[str, Callable[[socket.socket], object]] = {
    "read": lambda s: os.read(s.fileno(), 64),
    "readv": lambda s: os.readv(s.fileno(), [bytearray(64)]),
    "recv": lambda s: s.recv(64),
    "recvfrom": lambda s: s.recvfrom(64),
    "recvmsg": lambda s: s.recvmsg(64),
}


SYSTEM_CALLS = {name: "recvfrom" if name == "recv" else name for name in CALLS}  # as the kernel knows them


def experiment() -> dict[str, Any]:
    """Each call twice: blocking, with data that arrives later; and non-blocking, without data."""
    section = Sections()
    for name, call in CALLS.items():
        with tcp_pair() as (here, there):
            with later(lambda there=there: there.send(b"x" * 64)):  # type: ignore[misc]
                section(f"{name}, blocking")
                call(here)
                section("between")
            here.setblocking(False)
            section(f"{name}, non-blocking")
            try:
                call(here)
            except BlockingIOError:
                section("between")
    return section.outcome()


@LAB.check("every blocking input call sleeps first, then copies", claims=("C07", "C06"))
def both_phases(run: Run) -> Finding:
    """In its section each call slept on the socket's queue, and copied the data after the sleep."""
    good = []
    for name in CALLS:
        reads = [call for call in run.sections.get(f"{name}, blocking", []) if call.name == SYSTEM_CALLS[name]]
        if any(
            call.copied and any(sleep.queue == "socket" and sleep.on <= call.copied for sleep in call.sleeps) for call in reads
        ):
            good.append(name)
    words = (
        f"{len(good)} of {count(len(CALLS), 'call')} slept on the socket's queue and copied the data after the sleep:"
        f" {', '.join(good) or 'none'}"
    )
    return confirmed(words) if len(good) == len(CALLS) else failed(words)


@LAB.check("every non-blocking input call gets EAGAIN at once", claims=("C07", "C05"))
def refused(run: Run) -> Finding:
    """In its section each call got EAGAIN without a sleep."""
    return evidence.each_got_eagain(run, SYSTEM_CALLS)


COMING = "No data is there; it arrives 20 ms later. A blocking"
NO_DATA = "No data is there. A non-blocking"

LAB.ask(
    *(what_it_does(f"{name}, blocking", syscalls.READS, f"{COMING} {name}") for name in ("read", "readv", "recv", "recvmsg")),
    *(what_it_does(f"{name}, non-blocking", syscalls.READS, f"{NO_DATA} {name}") for name in ("read", "recv", "recvmsg")),
    where_it_sleeps("recv, blocking", syscalls.READS, f"{COMING} recv"),
    what_wakes_it("recv, blocking", syscalls.READS, f"{COMING} recv"),
)
