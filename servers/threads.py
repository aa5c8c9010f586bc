"""A thread for each connection: blocking I/O in many threads.

Each thread sleeps in its own recv, so a silent client holds up its own thread only. The price for each connection is the
creation of a thread, its stack and its context switches. In Python the threads also share the interpreter's lock (UNP 26.4).
"""

import socket
import threading

from servers.kit.echo import talk


def serve(listener: socket.socket) -> None:
    """Accepts for ever. Each connection gets its own thread."""
    while True:
        connection, _address = listener.accept()
        threading.Thread(target=talk, args=(connection,), daemon=True).start()
