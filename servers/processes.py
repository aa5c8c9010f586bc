"""A process for each connection, by fork: the oldest concurrent server of Unix.

Unlike a thread, each process has its own address space (copied on write) and its own table of descriptors. Both processes share
the open sockets behind the descriptors, so each process closes the sockets that it does not need. The server ignores SIGCHLD,
so the kernel reaps the children (UNP 4.8).
"""

import os
import signal
import socket

from servers.kit.echo import talk
from servers.kit.process import end_with_parent


def serve(listener: socket.socket) -> None:
    """Accepts for ever. Each connection gets its own process, which ends with the connection."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel then reaps the children
    parent = os.getpid()
    while True:
        connection, _address = listener.accept()
        if os.fork() == 0:
            end_with_parent(parent)
            listener.close()
            talk(connection)
            os._exit(0)
        connection.close()  # the child has it open; if the parent kept it open, the client would see no end
