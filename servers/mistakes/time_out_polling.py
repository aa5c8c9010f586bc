"""A short time-out in a multiplexer: the call returns without result, again and again, while nothing happens.

epoll_wait with a time-out of -1 sleeps until a descriptor is ready. With a time-out of 0 the call never sleeps, and the program
polls. With 1 ms the call sleeps, but a timer ends the sleep up to 1,000 times in a second. Neither of the two brings the answer
sooner, since a descriptor that becomes ready ends the sleep at once in any case (man 2 epoll_wait).
- `no_wait` calls epoll_wait with a time-out of 0.
- `short` calls epoll_wait with a time-out of SHORT.
- `mended` calls epoll_wait with a time-out of -1.
"""

import select
import socket

from servers.kit.echo import accept, echo

SHORT = 0.001  # seconds


def no_wait(listener: socket.socket) -> None:
    """Polls with epoll_wait."""
    _serve(listener, 0)


def short(listener: socket.socket) -> None:
    """Waits for at most SHORT in each call."""
    _serve(listener, SHORT)


def mended(listener: socket.socket) -> None:
    """Waits until a descriptor is ready."""
    _serve(listener, None)


def _serve(listener: socket.socket, time_out: float | None) -> None:
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    unsent: dict[int, bytes] = {}
    with select.epoll() as epoll:
        epoll.register(listener, select.EPOLLIN)
        while True:
            for fd, events in epoll.poll(time_out):
                if fd == listener.fileno():
                    if connection := accept(listener):
                        connections[connection.fileno()] = connection
                        epoll.register(connection, select.EPOLLIN)
                    continue
                rest = echo(connections[fd], unsent.pop(fd, b""))
                if rest is None:
                    connections.pop(fd).close()
                elif rest:
                    unsent[fd] = rest
                    epoll.modify(fd, select.EPOLLOUT)
                elif events & select.EPOLLOUT:
                    epoll.modify(fd, select.EPOLLIN)
