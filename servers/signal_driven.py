"""Signal-driven I/O: the kernel queues a signal when something can be read; until then the process is free.

Each socket is given an owner, a real-time signal and O_ASYNC. A real-time signal is queued for every event and carries the
descriptor, where plain SIGIO would only say "something happened". The thread waits for signals and reads what they tell of,
to the last byte: a signal is told once (UNP 6.2, "Signal-Driven I/O Model"; man 2 fcntl, F_SETSIG). UNP 25.2 has it for UDP,
where a signal means just two things: a datagram, or an error; here also room to send, after there was none.
"""

import fcntl
import os
import signal
import socket

from servers.kit.echo import accept, drain, receive, send_back
from servers.kit.signals import block, take

READY = signal.SIGRTMIN + 1
LOST = signal.SIGIO  # what the kernel sends instead when the queue of real-time signals is full


def serve(listener: socket.socket) -> None:
    """Serves whatever connection a signal tells of."""
    block({READY, LOST})
    listener.setblocking(False)
    arm(listener)
    connections: dict[int, socket.socket] = {}
    unsent: dict[int, bytes] = {}
    told = [listener.fileno()]  # what came before the socket was armed is told by no signal: look once
    while True:
        for fd in told:
            if fd == listener.fileno():
                while connection := accept(listener):
                    arm(connection)
                    connections[connection.fileno()] = connection
                    told.append(connection.fileno())
            elif fd in connections:
                rest = drain(connections[fd], unsent.pop(fd, b""))
                if rest is None:
                    connections.pop(fd).close()
                elif rest:
                    unsent[fd] = rest
        info = take({READY, LOST})
        # siginfo's si_fd stands where Python shows si_status
        told = [info.si_status] if info.si_signo == READY else [listener.fileno(), *connections]


def serve_udp(sock: socket.socket) -> None:
    """Echoes all that is there when a signal tells of the socket: to EAGAIN, from the one call or from the other."""
    block({READY, LOST})
    arm(sock)
    unsent = None
    while True:
        while unsent := unsent or receive(sock):
            if not send_back(sock, unsent):
                break  # a signal will tell of room
            unsent = None
        take({READY, LOST})


def arm(one: socket.socket) -> None:
    """From now on every change of the socket is a queued signal to this process."""
    fcntl.fcntl(one, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(one, fcntl.F_SETSIG, READY)
    fcntl.fcntl(one, fcntl.F_SETFL, fcntl.fcntl(one, fcntl.F_GETFL) | os.O_ASYNC | os.O_NONBLOCK)
