"""epoll, edge-triggered: told once of each arrival, and never again of what was left unread.

So each descriptor is drained until EAGAIN, and what could not be sent is kept until room is told of, once. Registered for
both directions from the start, a connection needs no epoll_ctl ever after (UNP 6.2 on multiplexing; man 7 epoll).
"""

import select
import socket

from servers.kit.echo import accept, drain

BOTH = select.EPOLLIN | select.EPOLLOUT | select.EPOLLET


def serve(listener: socket.socket) -> None:
    """Serves all connections, each as far as it goes."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    unsent: dict[int, bytes] = {}
    with select.epoll() as epoll:
        epoll.register(listener, select.EPOLLIN | select.EPOLLET)
        while True:
            for fd, _events in epoll.poll():
                if fd == listener.fileno():
                    while connection := accept(listener):
                        connections[connection.fileno()] = connection
                        epoll.register(connection, BOTH)
                    continue
                rest = drain(connections[fd], unsent.pop(fd, b""))
                if rest is None:
                    connections.pop(fd).close()  # which takes it off epoll's list as well
                elif rest:
                    unsent[fd] = rest
