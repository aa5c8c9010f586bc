"""Delivery: where are the bytes before and after the read, at the receiver and at the sender?"""

from __future__ import annotations

import array
import fcntl
import socket
import termios
import time
from typing import Any

from labs.kit import asides
from labs.kit.experiment import Sections, tcp_pair
from labs.kit.lab import Finding, Lab, NotOffered, Run, confirmed, failed, refined, unavailable
from labs.kit.questions.question import Question, Truth, Undecided
from labs.kit.questions.sections import what_it_does
from probes.kernel import syscalls

LAB = Lab(
    model="blocking",
    chapter="Terms and calls",
    question="When do bytes leave the receiver's buffer, and when do they leave the sender's buffer?",
    watch="the sender's copy is released when TCP has acknowledged it, read or unread; a read removes the receiver's copy.",
    try_next=(
        "invoke lab input_calls   the calls that empty the receiver's buffer",
        "invoke lab output_calls  the sender when its buffer is full",
    ),
    reading=(
        "UNP 2.11, TCP Output: what a successful write means",
        "man 7 tcp (SIOCINQ, SIOCOUTQ, TCP_QUICKACK)",
        "net/ipv4/tcp_input.c: tcp_clean_rtx_queue; net/ipv4/tcp.c: tcp_recvmsg_locked; net/core/sock.c: sk_get_meminfo",
    ),
    experiment="labs.delivery:experiment",
    picture=False,  # it would show a read; this lab is about the buffers
)
SIZE, FIRST = 1000, 400
SO_MEMINFO, RECEIVE, SEND = 55, 0, 5  # a socket's memory: nine numbers, two of them SK_MEMINFO_RMEM_ALLOC and _WMEM_QUEUED
AT = ("after the send", "after the acknowledgement", "after the first read", "after the second read")


def experiment() -> dict[str, Any]:
    """Sends 1,000 bytes to a receiver that delays its acknowledgement, and reads 400 of them and then the rest.

    At four moments it asks the kernel what both sockets hold: bytes (ioctl), and memory (SO_MEMINFO).
    """
    section = Sections()
    held: dict[str, list[int]] = {"unread": [], "unacknowledged": [], "receive_memory": [], "send_memory": []}
    with tcp_pair() as (here, there):
        there.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)  # else TCP acknowledges the first segments at once

        def measure() -> None:
            held["unread"].append(amount(there.fileno(), termios.FIONREAD))
            held["unacknowledged"].append(amount(here.fileno(), termios.TIOCOUTQ))
            held["receive_memory"].append(memory(there, RECEIVE))
            held["send_memory"].append(memory(here, SEND))

        section("send")
        here.send(b"x" * SIZE)
        measure()
        section("acknowledged")
        deadline = time.monotonic() + 5
        while amount(here.fileno(), termios.TIOCOUTQ) and time.monotonic() < deadline:
            time.sleep(0.005)  # TCP delays the acknowledgement by 40 ms or more (TCP_DELACK_MIN)
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


def memory(sock: socket.socket, which: int) -> int:
    """Bytes of kernel memory that hold the socket's data, with the structures around the data (sk_get_meminfo)."""
    return array.array("I", sock.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 36))[which]


def _held(run: Run) -> dict[str, list[int]]:
    """What both sockets held, at each of the moments AT. Raises NotOffered for a recording of an older version."""
    aside = asides.of(run)
    held = {
        "unread": [*aside.unread],
        "unacknowledged": [*aside.unacknowledged],
        "receive_memory": [*aside.receive_memory],
        "send_memory": [*aside.send_memory],
    }
    if any(len(amounts) != len(AT) for amounts in held.values()):
        raise NotOffered("this recording has no amounts of both sockets at four moments: run the lab again")
    return held


@LAB.check("a read takes its bytes out of the receive buffer", claims=("C46",))
def taken(run: Run) -> Finding:
    """The unread bytes went down by what each read returned. The kernel frees the memory of a packet with its last byte."""
    held = _held(run)
    reads = [call.bytes for call in run.sections.get("read", []) if call.name == "recvfrom"]
    words = (
        f"reads of {_listed(reads)} B; unread before and after them: {_listed(held['unread'][1:])} B, memory of the receive"
        f" buffer {_listed(held['receive_memory'][1:])} B"
    )
    if held["unread"] != [SIZE, SIZE, SIZE - FIRST, 0] or reads != [FIRST, SIZE - FIRST] or held["receive_memory"][-1]:
        return failed(words)
    if held["receive_memory"][2] < held["receive_memory"][1]:
        return confirmed(words)
    return refined(f"{words}: the first read freed no memory, because the packet had more bytes")


@LAB.check("the sender's copy is released when TCP acknowledges it, before any read", claims=("C46",))
def released(run: Run) -> Finding:
    """All bytes were unread at the receiver both times. In between came only the acknowledgement."""
    held = _held(run)
    words = "; ".join(
        f"{moment}: {held['unacknowledged'][at]:,} B unacknowledged in {held['send_memory'][at]:,} B of the sender's memory,"
        f" {held['unread'][at]:,} B unread at the receiver"
        for at, moment in enumerate(AT[:2])
    )
    if held["unread"][:2] != [SIZE, SIZE] or held["unacknowledged"][1] or held["send_memory"][1]:
        return failed(words)
    if held["unacknowledged"][0] != SIZE or not held["send_memory"][0]:
        return unavailable(f"{words}: the acknowledgement came before the first check")
    return confirmed(words)


def _listed(amounts: list[int]) -> str:
    return ", ".join(f"{amount:,}" for amount in amounts) or "0"


def bytes_held(key: str, index: int, text: str) -> Question:
    """How many bytes are in a queue, as the experiment measured it?"""

    def truth(run: Run) -> Truth:
        held: list[int] = [*getattr(asides.of(run), key)]
        if len(held) <= index:
            raise Undecided(f"the experiment measured {len(held)} amounts")
        return Truth(f"{held[index]:,} bytes", f"{key} bytes {', '.join(AT)}: {_listed(held)}")

    return Question(f"{key}-{index}", text, ("0 bytes", "400 bytes", "600 bytes", "1,000 bytes"), truth, ranges=True)


LAB.ask(
    what_it_does("send", syscalls.WRITES, "The receiver does not read yet. A blocking send of 1,000 bytes"),
    what_it_does("read", syscalls.READS, "1,000 bytes are unread in the socket. A blocking recv of 400"),
    bytes_held("unread", 0, "1,000 bytes were sent, and none is read yet. How many are in the receiver's queue?"),
    bytes_held("unread", 2, "400 of 1,000 bytes were read. How many are in the receiver's queue?"),
    bytes_held(
        "unacknowledged", 0, "1,000 bytes arrived, no acknowledgement is sent yet. How many does the sender's kernel hold?"
    ),
    bytes_held("unacknowledged", 1, "1,000 bytes were acknowledged, none is read yet. How many does the sender's kernel hold?"),
)
