"""Wrong for lab accept: the client has connected before accept is called, both times, so that no call waits."""

import socket
from typing import Any

from labs.kit.experiment import Sections


def experiment() -> dict[str, Any]:
    """Accepts a client that is already there, blocking and non-blocking."""
    section = Sections()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for name in ("blocking", "non-blocking"):
            with socket.create_connection(listener.getsockname()):
                listener.setblocking(name == "blocking")
                section(name)
                listener.accept()[0].close()
                section("between")
    return section.outcome()
