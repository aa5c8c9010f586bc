"""Signal-driven I/O: the kernel queues a signal when a socket can be read; until then the process is free.

Each socket gets an owner, a real-time signal and O_ASYNC. The kernel queues a real-time signal for every event, and the signal
carries the descriptor. Plain SIGIO would only say that something happened. The thread waits for signals, and reads each
reported socket until EAGAIN, because the kernel reports an event once (UNP 6.2, "Signal-Driven I/O Model"; man 2 fcntl,
F_SETSIG). UNP 25.2 uses the model for UDP. There a signal means a datagram or an error, and in this server also new room in a
full send buffer.
"""

import fcntl
import os
import signal
import socket

from servers.kit.echo import accept, drain, receive, send_back
from servers.kit.signals import block, take

READY = signal.SIGRTMIN + 1
LOST = signal.SIGIO  # the kernel sends it instead when the queue of real-time signals is full


def serve(listener: socket.socket) -> None:
    """Serves each connection that a signal reports."""
    block({READY, LOST})
    listener.setblocking(False)
    arm(listener)
    connections: dict[int, socket.socket] = {}
    unsent: dict[int, bytes] = {}
    reported = [listener.fileno()]  # no signal reports connections from before arm(): check once
    while True:
        for fd in reported:
            if fd == listener.fileno():
                while connection := accept(listener):
                    arm(connection)
                    connections[connection.fileno()] = connection
                    reported.append(connection.fileno())
            elif fd in connections:
                rest = drain(connections[fd], unsent.pop(fd, b""))
                if rest is None:
                    connections.pop(fd).close()
                elif rest:
                    unsent[fd] = rest
        info = take({READY, LOST})
        # the kernel's si_fd has the place that Python shows as si_status
        reported = [info.si_status] if info.si_signo == READY else [listener.fileno(), *connections]


def serve_udp(sock: socket.socket) -> None:
    """Echoes datagrams after each signal, until recvfrom or sendto gets EAGAIN."""
    block({READY, LOST})
    arm(sock)
    unsent = None
    while True:
        while unsent := unsent or receive(sock):
            if not send_back(sock, unsent):
                break  # a signal will report room
            unsent = None
        take({READY, LOST})


def arm(watched: socket.socket) -> None:
    """Makes the kernel queue a signal to this process for every change of the socket, from now on."""
    fcntl.fcntl(watched, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(watched, fcntl.F_SETSIG, READY)
    fcntl.fcntl(watched, fcntl.F_SETFL, fcntl.fcntl(watched, fcntl.F_GETFL) | os.O_ASYNC | os.O_NONBLOCK)
