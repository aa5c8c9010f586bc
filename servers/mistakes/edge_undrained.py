"""Edge-triggered epoll without draining: what a read leaves in the socket is not reported again.

The kernel reports each arrival once (EPOLLET). A server that reads once per event takes at most PIECE bytes. The rest of a
longer message stays unread in the socket, and epoll_wait sleeps beside it until more data arrives. But the client waits for its
echo and sends nothing more (man 7 epoll: "Level-triggered and edge-triggered").
- `broken` reads once per event.
- `mended` reads until EAGAIN.
- `level` reads once per event, too, but level-triggered: the kernel reports the connection until it is empty.
"""

import select
import socket

from servers.kit.echo import accept

PIECE = 256  # bytes that one read takes


def echo_piece(connection: socket.socket) -> int | None:
    """Reads once and echoes. Returns the bytes; 0 without data, None if the connection has ended.

    sendall suffices: the echoes are small, and the send buffer has room for them.
    """
    try:
        if not (data := connection.recv(PIECE)):
            return None
        connection.sendall(data)
    except BlockingIOError:
        return 0
    except ConnectionError:
        return None
    return len(data)


def drain(connection: socket.socket) -> int | None:
    """Reads and echoes until EAGAIN. Returns 0, or None if the connection has ended."""
    while done := echo_piece(connection):
        pass
    return done


def broken(listener: socket.socket) -> None:
    """Edge-triggered, one read per event."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    with select.epoll() as epoll:
        epoll.register(listener, select.EPOLLIN)
        while True:
            for fd, _events in epoll.poll():
                if fd == listener.fileno():
                    if connection := accept(listener):
                        connections[connection.fileno()] = connection
                        epoll.register(connection, select.EPOLLIN | select.EPOLLET)
                elif echo_piece(connections[fd]) is None:
                    connections.pop(fd).close()


def mended(listener: socket.socket) -> None:
    """Edge-triggered, reads until EAGAIN."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    with select.epoll() as epoll:
        epoll.register(listener, select.EPOLLIN)
        while True:
            for fd, _events in epoll.poll():
                if fd == listener.fileno():
                    if connection := accept(listener):
                        connections[connection.fileno()] = connection
                        epoll.register(connection, select.EPOLLIN | select.EPOLLET)
                elif drain(connections[fd]) is None:
                    connections.pop(fd).close()


def level(listener: socket.socket) -> None:
    """Level-triggered, one read per event."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    with select.epoll() as epoll:
        epoll.register(listener, select.EPOLLIN)
        while True:
            for fd, _events in epoll.poll():
                if fd == listener.fileno():
                    if connection := accept(listener):
                        connections[connection.fileno()] = connection
                        epoll.register(connection, select.EPOLLIN)
                elif echo_piece(connections[fd]) is None:
                    connections.pop(fd).close()
