"""I/O multiplexing with poll: like select, but without a limit, and with separate fields for request and answer.

At every call, the kernel still copies the whole array in and out, and polls every descriptor (UNP 6.10; man 2 poll).
"""

import select
import socket

from servers.kit.echo import accept, echo, receive, send_back


def serve(listener: socket.socket) -> None:
    """Serves all connections in turn, as each becomes ready."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    unsent: dict[int, bytes] = {}
    wishes = select.poll()
    wishes.register(listener, select.POLLIN)
    while True:
        for fd, _events in wishes.poll():
            if fd == listener.fileno():
                if connection := accept(listener):
                    connections[connection.fileno()] = connection
                    wishes.register(connection, select.POLLIN)  # in Python's array, without a system call
                continue
            rest = echo(connections[fd], unsent.pop(fd, b""))
            if rest is None:
                wishes.unregister(fd)
                connections.pop(fd).close()
            else:
                if rest:
                    unsent[fd] = rest
                wishes.modify(fd, select.POLLOUT if rest else select.POLLIN)


def serve_udp(sock: socket.socket) -> None:
    """Serves all clients on one socket. Sleeps in poll until the socket has a datagram, or room to send one."""
    sock.setblocking(False)
    unsent = None
    wishes = select.poll()
    wishes.register(sock, select.POLLIN)
    while True:
        wishes.poll()
        unsent = unsent or receive(sock)
        if unsent and send_back(sock, unsent):
            unsent = None
        wishes.modify(sock, select.POLLOUT if unsent else select.POLLIN)
