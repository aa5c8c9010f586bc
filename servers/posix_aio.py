"""POSIX AIO: aio_read returns at once, and a signal reports when the data is in the process's buffer.

On Linux, helper threads of glibc make ordinary blocking reads for this: one thread for each waiting descriptor, 20 threads at
most. A helper thread waits for the data and copies it, instead of the thread that called aio_read (UNP 6.2, "Asynchronous I/O
Model"; man 7 aio). AIO has no request for accept, so the listener is signal-driven.
"""

import signal
import socket

from servers.kit.echo import accept
from servers.kit.posix_aio import Request
from servers.kit.signals import block, take
from servers.signal_driven import READY, arm

DONE = signal.SIGRTMIN + 2


def serve(listener: socket.socket) -> None:
    """Starts requests, and starts the next request of a connection when a signal reports the end of one."""
    block({READY, DONE})
    arm(listener)
    connections: dict[int, tuple[socket.socket, Request]] = {}
    while True:
        while connection := accept(listener):
            connection.setblocking(True)  # the helper thread must wait, not get EAGAIN
            request = Request(connection.fileno(), DONE)
            connections[connection.fileno()] = connection, request
            request.read()
        info = take({READY, DONE})
        if info.si_signo == DONE and info.si_status in connections:  # si_value has the place of si_status
            connection, request = connections[info.si_status]
            if not go_on(request):
                del connections[info.si_status]
                connection.close()


def go_on(request: Request) -> bool:
    """Starts the next request after one has ended. False if the connection has ended."""
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
