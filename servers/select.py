"""I/O multiplexing with select: one thread waits for all connections at once, and names all of them at each call.

At every call, the kernel copies the three sets in, polls every descriptor in them, and overwrites the sets with the answer. A
set has no room for descriptors above 1023 (UNP 6.3; man 2 select).
"""

import select
import socket

from servers.kit.echo import accept, echo, receive, send_back


def serve(listener: socket.socket) -> None:
    """Serves all connections in turn, as each becomes ready."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    unsent: dict[int, bytes] = {}
    while True:
        to_read = [listener.fileno(), *(fd for fd in connections if fd not in unsent)]
        readable, writable, _ = select.select(to_read, list(unsent), [])
        for fd in readable + writable:
            if fd == listener.fileno():
                if connection := accept(listener):
                    connections[connection.fileno()] = connection
                continue
            rest = echo(connections[fd], unsent.pop(fd, b""))
            if rest is None:
                connections.pop(fd).close()
            elif rest:
                unsent[fd] = rest  # a slow client: wait for room before reading on


def serve_udp(sock: socket.socket) -> None:
    """Serves all clients on one socket. Sleeps in select until the socket has a datagram, or room to send one."""
    sock.setblocking(False)
    unsent = None
    while True:
        select.select([] if unsent else [sock], [sock] if unsent else [], [])
        unsent = unsent or receive(sock)
        if unsent and send_back(sock, unsent):
            unsent = None
