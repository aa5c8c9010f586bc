"""Wrong for lab output_calls: the send buffer has room, so that no call waits or gets EAGAIN."""

import socket
from typing import Any

from labs.kit.experiment import Sections, tcp_pair
from labs.output_calls import CALLS, DATA


def experiment() -> dict[str, Any]:
    """Each call twice, with room: blocking and non-blocking."""
    section = Sections()
    for name, call in CALLS.items():
        with tcp_pair() as (here, there):
            for kind in ("blocking", "non-blocking"):
                here.setblocking(kind == "blocking")
                section(f"{name}, {kind}")
                call(here)
                section("between")
                there.recv(len(DATA), socket.MSG_WAITALL)
    return section.outcome()
