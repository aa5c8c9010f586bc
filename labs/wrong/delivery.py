"""Wrong for lab delivery: the reader peeks (MSG_PEEK), and no byte leaves its buffer."""

import socket
import termios
from typing import Any

from labs.delivery import FIRST, SIZE, amount
from labs.kit.experiment import Sections, tcp_pair


def experiment() -> dict[str, Any]:
    """Sends 1,000 bytes and peeks at them in two steps."""
    section = Sections()
    unread = []
    with tcp_pair() as (here, there):
        section("send")
        here.send(b"x" * SIZE)
        there.recv(SIZE, socket.MSG_PEEK | socket.MSG_WAITALL)
        section("read")
        for size in (FIRST, SIZE - FIRST):
            there.recv(size, socket.MSG_PEEK)
            unread.append(amount(there.fileno(), termios.FIONREAD))
        section("between")
    return section.outcome(unread=[SIZE, *unread], unacknowledged=[0, 0, 0])
