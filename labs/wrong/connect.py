"""Wrong for lab connect: no backlog is full, and no socket is non-blocking."""

import socket
from typing import Any

from labs.kit.experiment import Sections


def experiment() -> dict[str, Any]:
    """Connects to a listener with room, in every section."""
    section = Sections()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for name in ("room", "full", "non-blocking", "notified"):
            section(name)
            socket.create_connection(listener.getsockname()).close()
            section("between")
    return section.outcome()
