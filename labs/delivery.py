"""Delivery: where are the bytes before and after the read, at the receiver and at the sender?"""

from __future__ import annotations

import array
import fcntl
import termios
import time
from typing import Any

from labs.kit.experiment import Sections, tcp_pair
from labs.kit.lab import Finding, Lab, Run, confirmed, failed
from labs.kit.questions.question import Question, Truth, Undecided
from labs.kit.questions.sections import what_it_does
from probes.kernel import syscalls

LAB = Lab(
    model="blocking",
    chapter="Terms and calls",
    question="When do bytes leave the receiver's buffer, and when the sender's?",
    watch="the sender's copy is released when TCP has acknowledged it, read or unread; the receiver's copy goes with the read.",
    try_next=(
        "invoke lab input_calls   the calls that empty the receiver's buffer",
        "invoke lab output_calls  the sender when its buffer is full",
    ),
    reading=(
        "UNP 2.11, TCP Output: what a successful write means",
        "man 7 tcp (SIOCINQ, SIOCOUTQ)",
        "net/ipv4/tcp_input.c: tcp_clean_rtx_queue; net/ipv4/tcp.c: tcp_recvmsg_locked",
    ),
    experiment="labs.delivery:experiment",
    picture=False,  # it would show a read; this lab is about the buffers
)
SIZE, FIRST = 1000, 400


def experiment() -> dict[str, Any]:
    """Sends 1,000 bytes, reads 400 and then the rest; in between it asks both sockets for the bytes that they hold (ioctl)."""
    section = Sections()
    held: dict[str, list[int]] = {"unread": [], "unacknowledged": []}
    with tcp_pair() as (here, there):

        def measure() -> None:
            held["unread"].append(amount(there.fileno(), termios.FIONREAD))
            held["unacknowledged"].append(amount(here.fileno(), termios.TIOCOUTQ))

        section("send")
        here.send(b"x" * SIZE)
        deadline = time.monotonic() + 5
        while amount(here.fileno(), termios.TIOCOUTQ) and time.monotonic() < deadline:
            pass  # TCP may delay the acknowledgement by some 40 ms
        measure()
        section("read")
        there.recv(FIRST)
        measure()
        there.recv(SIZE)
        measure()
        section("between")
    return section.outcome(**held)


def amount(fd: int, what: int) -> int:
    """Bytes in a socket's queue: FIONREAD counts the unread bytes, TIOCOUTQ the unacknowledged bytes (man 7 tcp)."""
    number = array.array("i", [0])
    fcntl.ioctl(fd, what, number)
    return number[0]


@LAB.check("a read empties the receiver's buffer, an acknowledgement the sender's", claims=("C46",))
def buffers(run: Run) -> Finding:
    """The unread bytes went down by what each read took; the sender held no byte even before the first read."""
    unread, unacknowledged = run.aside.get("unread", []), run.aside.get("unacknowledged", [])
    reads = [call.bytes for call in run.sections.get("read", []) if call.name == "recvfrom"]
    evidence = (
        f"reads of {_listed(reads)} bytes; after the send and after each read: unread at the receiver {_listed(unread)} bytes,"
        f" unacknowledged at the sender {_listed(unacknowledged)} bytes"
    )
    if unread != [SIZE, SIZE - FIRST, 0] or reads != [FIRST, SIZE - FIRST]:
        return failed(evidence)
    if unacknowledged and unacknowledged[0] == 0:
        evidence += "; TCP had acknowledged all bytes before the first read, and the sender's copy was released then"
    return confirmed(evidence)


def _listed(amounts: list[int]) -> str:
    return ", ".join(f"{amount:,}" for amount in amounts) or "0"


def bytes_held(key: str, index: int, text: str) -> Question:
    """How many bytes are in a queue, as the experiment measured it?"""

    def truth(run: Run) -> Truth:
        held = run.aside.get(key, [])
        if len(held) <= index:
            raise Undecided(f"the experiment measured {len(held)} amounts")
        return Truth(f"{held[index]:,} bytes", f"{key} bytes after the send, the first read and the second: {_listed(held)}")

    return Question(f"{key}-{index}", text, ("0 bytes", "400 bytes", "600 bytes", "1,000 bytes"), truth, ranges=True)


LAB.ask(
    what_it_does("send", syscalls.WRITES, "The receiver does not read yet. A blocking send of 1,000 bytes"),
    what_it_does("read", syscalls.READS, "1,000 bytes are unread in the socket. A blocking recv of 400"),
    bytes_held("unread", 0, "1,000 bytes were sent, and none is read yet. How many are in the receiver's queue?"),
    bytes_held("unread", 1, "400 of 1,000 bytes were read. How many are in the receiver's queue?"),
    bytes_held("unacknowledged", 0, "1,000 bytes arrived, and none is read yet. How many does the sender's kernel still hold?"),
    bytes_held("unacknowledged", 1, "400 of 1,000 bytes were read. How many does the sender's kernel still hold?"),
)
