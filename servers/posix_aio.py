"""POSIX AIO: aio_read returns at once, and a signal tells when the data is in the process's buffer.

So it looks. On Linux glibc's helper threads make ordinary blocking reads, one thread for each descriptor that waits, twenty
at most: somebody waits and somebody copies, only not this thread (UNP 6.2, "Asynchronous I/O Model"; man 7 aio). Accepting
cannot be asked for by AIO: the listener is signal-driven.
"""

import signal
import socket

from servers.kit.echo import accept
from servers.kit.posix_aio import Request
from servers.kit.signals import block, take
from servers.signal_driven import READY, arm

DONE = signal.SIGRTMIN + 2


def serve(listener: socket.socket) -> None:
    """Starts requests, and goes on with each when a signal says that it has ended."""
    block({READY, DONE})
    arm(listener)
    connections: dict[int, tuple[socket.socket, Request]] = {}
    while True:
        while connection := accept(listener):
            connection.setblocking(True)  # the helper thread is to wait, not to be told EAGAIN
            request = Request(connection.fileno(), DONE)
            connections[connection.fileno()] = connection, request
            request.read()
        info = take({READY, DONE})
        if info.si_signo == DONE and info.si_status in connections:  # si_value stands where Python shows si_status
            connection, request = connections[info.si_status]
            if not go_on(request):
                del connections[info.si_status]
                connection.close()


def go_on(request: Request) -> bool:
    """A request has ended: the next one of its connection. False when the connection has ended."""
    try:
        moved = request.result()
    except OSError:
        return False
    if moved is None:
        return True
    if request.writing:
        request.read()
    elif moved:
        request.write(moved)
    return request.writing or moved != 0
