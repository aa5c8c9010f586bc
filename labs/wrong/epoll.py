"""Wrong for lab epoll: each function is an epoll server with one fault that a student could make.

`WRONG` has, for each of them, words that the evidence of a failed check must contain. `RIGHT` names servers that are written in
another way than servers/epoll.py, and are right: the lab passes on them.
"""

from __future__ import annotations

import select
import socket

from servers.kit.echo import accept, echo

WRONG = {
    "always_writable": "a descriptor was reported as ready and no data moved",
    "zero_time_out": "the wait returned at once with nothing ready",
}
RIGHT = ("sends_before_it_waits",)


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


def zero_time_out(listener: socket.socket) -> None:
    """Gives epoll_wait a time-out of 0, so that it returns at once, and calls it again."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    unsent: dict[int, bytes] = {}
    with select.epoll() as epoll:
        epoll.register(listener, select.EPOLLIN)
        while True:
            for fd, _events in epoll.poll(0):
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


def sends_before_it_waits(listener: socket.socket) -> None:
    """Right: sends without being asked to wait for room, and asks for EPOLLOUT only while data is left over."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    unsent: dict[int, bytes] = {}
    with select.epoll() as epoll:
        epoll.register(listener.fileno(), select.EPOLLIN)
        while True:
            for fd, _events in epoll.poll(maxevents=1):
                if fd == listener.fileno():
                    while connection := accept(listener):
                        connections[connection.fileno()] = connection
                        epoll.register(connection.fileno(), select.EPOLLIN)
                    continue
                rest = echo(connections[fd], unsent.pop(fd, b""))
                if rest is None:
                    connections.pop(fd).close()
                    continue
                if rest:
                    unsent[fd] = rest
                epoll.modify(fd, select.EPOLLOUT if rest else select.EPOLLIN)
