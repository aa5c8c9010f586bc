"""Wrong for lab epoll: each function is an epoll server with one fault that a student could make."""

import select
import socket

from servers.kit.echo import accept, echo


def always_writable(listener: socket.socket) -> None:
    """Registers each connection for EPOLLOUT as well: the send buffer has room, so that epoll_wait never sleeps."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    unsent: dict[int, bytes] = {}
    with select.epoll() as epoll:
        epoll.register(listener, select.EPOLLIN)
        while True:
            for fd, _events in epoll.poll():
                if fd == listener.fileno():
                    if connection := accept(listener):
                        connections[connection.fileno()] = connection
                        epoll.register(connection, select.EPOLLIN | select.EPOLLOUT)
                    continue
                rest = echo(connections[fd], unsent.pop(fd, b""))
                if rest is None:
                    connections.pop(fd).close()
                elif rest:
                    unsent[fd] = rest
