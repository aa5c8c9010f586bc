"""Wrong for lab delivery: the reader peeks (MSG_PEEK), and no byte leaves its buffer; and no acknowledgement comes.

On a socket pair (AF_UNIX) the sender's data is the receiver's data: the kernel releases it when it is read.
"""

import socket
import termios
from typing import Any

from labs.delivery import FIRST, RECEIVE, SEND, SIZE, amount, memory
from labs.kit.experiment import Sections


def experiment() -> dict[str, Any]:
    """Sends 1,000 bytes and peeks at them in two steps."""
    section = Sections()
    held: dict[str, list[int]] = {"unread": [], "unacknowledged": [], "receive_memory": [], "send_memory": []}
    here, there = socket.socketpair()
    with here, there:

        def measure() -> None:
            held["unread"].append(amount(there.fileno(), termios.FIONREAD))
            held["unacknowledged"].append(amount(here.fileno(), termios.TIOCOUTQ))
            held["receive_memory"].append(memory(there, RECEIVE))
            held["send_memory"].append(memory(here, SEND))

        section("send")
        here.send(b"x" * SIZE)
        measure()
        section("acknowledged")
        measure()
        section("read")
        there.recv(FIRST, socket.MSG_PEEK)
        measure()
        there.recv(SIZE, socket.MSG_PEEK)
        measure()
        section("between")
    return section.outcome(**held)
