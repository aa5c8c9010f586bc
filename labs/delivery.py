"""Delivery: where are the bytes before and after the read, at the receiver and at the sender?"""

from __future__ import annotations

import array
import fcntl
import termios
import time
from typing import Any

from labs.kit.experiment import Sections, tcp_pair
from labs.kit.lab import Finding, Lab, Run, confirmed, failed, refined

LAB = Lab(
    model="blocking",
    chapter="Terms and calls",
    question="When do bytes leave the receiver's buffer, and when the sender's?",
    watch="the sender's copy goes when TCP has acknowledged it, read or not; the receiver's goes with the read.",
    try_next=(
        "invoke lab input_calls   the calls that take them out",
        "invoke lab output_calls  what happens when they don't",
    ),
    reading=(
        "UNP 2.11, TCP Output: what a successful write means",
        "man 7 tcp (SIOCINQ, SIOCOUTQ)",
        "net/ipv4/tcp_input.c: tcp_clean_rtx_queue; net/ipv4/tcp.c: tcp_recvmsg_locked",
    ),
    experiment="labs.delivery:experiment",
    picture=False,  # of what it receives, which is not what it is about
)
SIZE, FIRST = 1000, 400


def experiment() -> dict[str, Any]:
    """Sends 1,000 bytes, reads 400 and then the rest; asks both ends for what they hold in between (ioctl)."""
    section = Sections()
    held: dict[str, list[int]] = {"unread": [], "unacknowledged": []}
    with tcp_pair() as (here, there):

        def look() -> None:
            held["unread"].append(amount(there.fileno(), termios.FIONREAD))
            held["unacknowledged"].append(amount(here.fileno(), termios.TIOCOUTQ))

        section("send")
        here.send(b"x" * SIZE)
        deadline = time.monotonic() + 5
        while amount(here.fileno(), termios.TIOCOUTQ) and time.monotonic() < deadline:
            pass  # TCP may put off the acknowledgement for some 40 ms
        look()
        section("read")
        there.recv(FIRST)
        look()
        there.recv(SIZE)
        look()
        section("between")
    return section.found(**held)


def amount(fd: int, what: int) -> int:
    """Bytes in a socket's queue: FIONREAD the unread, TIOCOUTQ the unacknowledged (man 7 tcp)."""
    number = array.array("i", [0])
    fcntl.ioctl(fd, what, number)
    return number[0]


@LAB.check("reading empties the receiver, acknowledging the sender", claims=("C46",))
def both(run: Run) -> Finding:
    """The unread bytes go down by what was read; the sender's are gone before anything was."""
    unread, unacknowledged = run.aside.get("unread"), run.aside.get("unacknowledged")
    reads = [one.bytes for one in run.sections.get("read", []) if one.name == "recvfrom"]
    found = f"reads of {reads} bytes: {unread} unread at the receiver, {unacknowledged} unacknowledged at the sender"
    if unread != [SIZE, SIZE - FIRST, 0] or reads != [FIRST, SIZE - FIRST]:
        return failed(found)
    if unacknowledged and unacknowledged[0] == 0:
        return refined(f"{found}: the sender's copy was released before anybody had read a byte")
    return confirmed(found)
