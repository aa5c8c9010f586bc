"""Non-blocking I/O: the thread never sleeps, and polls the listener and every connection in turn.

Each poll is a system call, and nearly every call returns EAGAIN. The thread uses a whole core to learn about new data; a
sleeping thread would be woken for it (UNP 6.2, "Nonblocking I/O Model").
"""

import socket
import time

from servers.kit.echo import accept, echo, receive, send_back


def serve(listener: socket.socket, pause: float = 0.0) -> None:
    """Polls the listener and every connection in turn, for ever, with `pause` seconds between two rounds."""
    listener.setblocking(False)
    unsent: dict[socket.socket, bytes] = {}
    while True:
        if connection := accept(listener):
            unsent[connection] = b""
        for connection in list(unsent):
            rest = echo(connection, unsent[connection])
            if rest is None:
                del unsent[connection]
                connection.close()
            else:
                unsent[connection] = rest
        if pause:
            time.sleep(pause)


def serve_udp(sock: socket.socket) -> None:
    """Polls the socket for ever: for a datagram, or for room to send the datagram back."""
    sock.setblocking(False)
    unsent = None
    while True:
        unsent = unsent or receive(sock)
        if unsent and send_back(sock, unsent):
            unsent = None
