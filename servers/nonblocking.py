"""Non-blocking I/O: never asleep, always asking. Has anybody connected? Has this one sent something? And this one?

Every question is a system call, and nearly every answer is EAGAIN. The thread takes a whole core to find out as soon as
possible what a sleeping thread would have been told (UNP 6.2, "Nonblocking I/O Model").
"""

import socket
import time

from servers.kit.echo import accept, echo, receive, send_back


def serve(listener: socket.socket, pause: float = 0.0) -> None:
    """Asks the listener and every connection in turn, for ever, with `pause` seconds between two rounds."""
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
    """Asks the one socket, for ever: for a datagram, or for room to send it back."""
    sock.setblocking(False)
    unsent = None
    while True:
        unsent = unsent or receive(sock)
        if unsent and send_back(sock, unsent):
            unsent = None
