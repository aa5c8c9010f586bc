"""The input calls read, readv, recv, recvfrom and recvmsg: blocking, each passes both phases; non-blocking, each refuses."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

from findings import evidence
from labs.kit.experiment import Sections, later, tcp_pair
from labs.kit.lab import Finding, Lab, Run, confirmed, failed
from probes.kernel import syscalls

LAB = Lab(
    model="blocking and non-blocking",
    chapter="Terms and calls",
    question="Do all input calls behave alike, blocking and non-blocking?",
    watch="five calls (recv is recvfrom to the kernel), ten sections: asleep and copied, or EAGAIN at once.",
    try_next=(
        "invoke lab output_calls  the same for output",
        "invoke lab blocking      a server made of one of them",
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


def experiment() -> dict[str, Any]:
    """Each call twice: blocking, with data that comes later; and non-blocking, with none."""
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
    return section.found()


@LAB.check("blocking, each sleeps and then copies", claims=("C07", "C06"))
def both_phases(run: Run) -> Finding:
    """In its section each call slept on the socket's queue, and copied after it."""
    good = []
    for name in CALLS:
        reads = [one for one in run.sections.get(f"{name}, blocking", []) if one.name in syscalls.READS]
        if any(one.copied and [s for s in one.sleeps if s.queue == "socket" and s.on <= (one.copied or 0)] for one in reads):
            good.append(name)
    found = f"{len(good)} of {len(CALLS)} calls slept on the socket's queue and then copied: {', '.join(good)}"
    return confirmed(found) if len(good) == len(CALLS) else failed(found)


@LAB.check("non-blocking, each is refused at once", claims=("C07", "C05"))
def refused(run: Run) -> Finding:
    """In its section each call got EAGAIN without a sleep."""
    return evidence.each_refused(run, CALLS, syscalls.READS)
