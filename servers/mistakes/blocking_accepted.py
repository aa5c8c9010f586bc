"""Blocking connections of a non-blocking listener: accept does not pass O_NONBLOCK on.

The file status flags of a listener are not inherited by the connections that accept returns (man 2 accept; accept4 has
SOCK_NONBLOCK for this). So `listener.setblocking(False)` alone leaves each connection blocking.
- `polling` polls the listener and every connection in turn, and expects EAGAIN from a connection without data. The first such
  connection blocks the thread.
- `event_loop` waits in epoll_wait and reads each ready connection until EAGAIN. But after the last byte recv sleeps on that
  connection.
- `polling_mended` and `event_loop_mended` make each connection non-blocking.
"""

import select
import socket
from collections.abc import Callable

from servers.kit.echo import accept as accept_non_blocking
from servers.kit.echo import drain, echo

Accept = Callable[[socket.socket], socket.socket | None]


def accept(listener: socket.socket) -> socket.socket | None:
    """Accepts the next connection and leaves it as it is: blocking. None if no connection waits."""
    try:
        connection, _address = listener.accept()
    except (BlockingIOError, ConnectionError):
        return None
    return connection


def polling(listener: socket.socket) -> None:
    """Polls blocking connections."""
    _poll(listener, accept)


def polling_mended(listener: socket.socket) -> None:
    """Polls non-blocking connections."""
    _poll(listener, accept_non_blocking)


def event_loop(listener: socket.socket) -> None:
    """Waits for blocking connections, and reads each until it is empty."""
    _wait(listener, accept)


def event_loop_mended(listener: socket.socket) -> None:
    """Waits for non-blocking connections, and reads each until it is empty."""
    _wait(listener, accept_non_blocking)


def _poll(listener: socket.socket, accept: Accept) -> None:
    listener.setblocking(False)
    connections: list[socket.socket] = []
    while True:
        if connection := accept(listener):
            connections.append(connection)
        for connection in list(connections):
            if echo(connection, b"") is None:
                connections.remove(connection)
                connection.close()


def _wait(listener: socket.socket, accept: Accept) -> None:
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
                elif drain(connections[fd], b"") is None:
                    connections.pop(fd).close()
