"""A fixed number of processes, forked beforehand, that all sleep in accept on the same listener.

The kernel wakes one of them for each connection. A process is busy with it until it ends, so a fifth client waits in the
listener's backlog, connected and unaccepted (UNP 30.6).
"""

import os
import signal
import socket

from servers.kit.echo import talk
from servers.kit.process import end_with_parent

WORKERS = 4


def serve(listener: socket.socket) -> None:
    """Forks the workers, then sleeps until a signal ends it; the workers end with it."""
    parent = os.getpid()
    for _ in range(WORKERS):
        if os.fork() == 0:
            end_with_parent(parent)
            while True:
                connection, _address = listener.accept()
                talk(connection)
    while True:
        signal.pause()
