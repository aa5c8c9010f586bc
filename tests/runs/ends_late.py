"""A server that works on for a while after its client has closed, and then leaves a file."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

WORK = 0.01  # seconds


def serve(listener: socket.socket) -> None:
    """Echoes for one client, works, writes the file that SERVED names, and sleeps."""
    connection, _address = listener.accept()
    while data := connection.recv(65536):
        connection.sendall(data)
    end = time.monotonic() + WORK
    while time.monotonic() < end:
        pass
    Path(os.environ["SERVED"]).touch()
    listener.accept()
