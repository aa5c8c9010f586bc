"""A process for each connection, by fork: the oldest concurrent server of Unix.

Like a thread for each connection, with an address space (copied on write) and a table of descriptors for each; the open sockets
behind the descriptors are shared, so each closes what is the other's. The children are reaped by ignoring SIGCHLD (UNP 4.8).
"""

import os
import signal
import socket

from servers.kit.echo import talk
from servers.kit.process import end_with_parent


def serve(listener: socket.socket) -> None:
    """Accepts for ever; each connection gets a process of its own, which ends with it."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps the children by itself
    parent = os.getpid()
    while True:
        connection, _address = listener.accept()
        if os.fork() == 0:
            end_with_parent(parent)
            listener.close()
            talk(connection)
            os._exit(0)
        connection.close()  # the child has it; without this the client would never see the end
