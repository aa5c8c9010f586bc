"""A thread for each connection: blocking I/O, many times over.

Each thread sleeps in its own recv, so a silent client holds up nobody but its own thread. The price is a stack, a context
switch and a creation for each connection, and, in Python, a turn at the interpreter's lock (UNP 26.4).
"""

import socket
import threading

from servers.kit.echo import talk


def serve(listener: socket.socket) -> None:
    """Accepts for ever; each connection gets a thread of its own."""
    while True:
        connection, _address = listener.accept()
        threading.Thread(target=talk, args=(connection,), daemon=True).start()
