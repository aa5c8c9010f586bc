"""I/O multiplexing with select: one thread, asleep for all connections at once, and all of them named anew each time.

The three sets are copied into the kernel at every call, every descriptor in them is asked, and the sets come back with the
answer in the place of the question. No descriptor above 1023 fits in (UNP 6.3; man 2 select).
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
                unsent[fd] = rest  # a slow reader: wait for room before reading on


def serve_udp(sock: socket.socket) -> None:
    """One socket for all clients: asleep in select until it has a datagram, or room for one."""
    sock.setblocking(False)
    unsent = None
    while True:
        select.select([] if unsent else [sock], [sock] if unsent else [], [])
        unsent = unsent or receive(sock)
        if unsent and send_back(sock, unsent):
            unsent = None
