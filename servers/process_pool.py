"""A fixed number of processes, forked at the start, which all sleep in accept on the same listener.

The kernel wakes one process for each connection. The process serves this connection until it ends. So a fifth client waits in
the listener's backlog: its connection is established but not accepted (UNP 30.6).
"""

import os
import signal
import socket

from servers.kit.echo import talk
from servers.kit.process import end_with_parent

WORKERS = 4


def serve(listener: socket.socket) -> None:
    """Forks the workers, then sleeps until a signal ends this process. The workers end with it."""
    parent = os.getpid()
    for _ in range(WORKERS):
        if os.fork() == 0:
            end_with_parent(parent)
            while True:
                connection, _address = listener.accept()
                talk(connection)
    while True:
        signal.pause()
