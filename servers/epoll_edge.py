"""Edge-triggered epoll: the kernel reports each arrival once, and does not report data that was left unread.

So the server reads each descriptor until EAGAIN. Data that finds no room in the send buffer is kept until the kernel reports
room, also once. A connection is registered for both directions from the start, so it needs no second epoll_ctl (UNP 6.2 on
multiplexing; man 7 epoll).
"""

import select
import socket

from servers.kit.echo import accept, drain

BOTH = select.EPOLLIN | select.EPOLLOUT | select.EPOLLET


def serve(listener: socket.socket) -> None:
    """Serves all connections, each until EAGAIN."""
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
                    connections.pop(fd).close()  # close also removes it from the epoll instance
                elif rest:
                    unsent[fd] = rest
