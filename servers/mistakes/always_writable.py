"""A mask that is always ready: a socket is writable as long as its send buffer has room, and that is nearly always.

A level-triggered multiplexer reports every descriptor that is ready in a way that the server waits for. A server that waits for
room in the send buffer (EPOLLOUT, select's second set) when it has nothing to send gets every connection reported in every
call. So the call never sleeps, and the thread takes a whole core (man 7 epoll; man 2 select).
- `broken` registers each connection with epoll for EPOLLIN and EPOLLOUT.
- `in_select` passes each connection to select in the read set and in the write set.
- `mended` and `mended_select` wait for room only while they have data to send.
"""

import select
import socket
from typing import Any

from servers.kit.echo import accept, echo

Connections = dict[int, socket.socket]


def broken(listener: socket.socket) -> None:
    """Waits for data and for room, always."""
    listener.setblocking(False)
    connections: Connections = {}
    unsent: dict[int, bytes] = {}
    with select.epoll() as epoll:
        epoll.register(listener, select.EPOLLIN)
        while True:
            for fd, events in epoll.poll():
                if fd == listener.fileno():
                    if connection := accept(listener):
                        connections[connection.fileno()] = connection
                        epoll.register(connection, select.EPOLLIN | select.EPOLLOUT)
                elif events & ~select.EPOLLOUT or fd in unsent:
                    serve_one(connections, unsent, fd)


def mended(listener: socket.socket) -> None:
    """Waits for data, and for room only while data is unsent."""
    listener.setblocking(False)
    connections: Connections = {}
    unsent: dict[int, bytes] = {}
    with select.epoll() as epoll:
        epoll.register(listener, select.EPOLLIN)
        while True:
            for fd, _events in epoll.poll():
                if fd == listener.fileno():
                    if connection := accept(listener):
                        connections[connection.fileno()] = connection
                        epoll.register(connection, select.EPOLLIN)
                    continue
                waited_for_room = fd in unsent
                serve_one(connections, unsent, fd)
                if fd in connections and waited_for_room != (fd in unsent):
                    epoll.modify(fd, select.EPOLLOUT if fd in unsent else select.EPOLLIN)


def in_select(listener: socket.socket) -> None:
    """Waits for data and for room in select, always."""
    listener.setblocking(False)
    connections: Connections = {}
    unsent: dict[int, bytes] = {}
    while True:
        watched: list[Any] = [listener, *connections]
        readable, writable, _ = select.select(watched, list(connections), [])
        take(listener, readable, connections)
        for fd in {*readable, *(fd for fd in writable if fd in unsent)}:
            if fd in connections:
                serve_one(connections, unsent, fd)


def mended_select(listener: socket.socket) -> None:
    """Waits for data in select, and for room only while data is unsent."""
    listener.setblocking(False)
    connections: Connections = {}
    unsent: dict[int, bytes] = {}
    while True:
        watched: list[Any] = [listener, *(fd for fd in connections if fd not in unsent)]
        readable, writable, _ = select.select(watched, list(unsent), [])
        take(listener, readable, connections)
        for fd in {*readable, *writable}:
            if fd in connections:
                serve_one(connections, unsent, fd)


def take(listener: socket.socket, readable: list[Any], connections: Connections) -> None:
    """Accepts a connection if the listener is readable."""
    if listener in readable:
        readable.remove(listener)
        if connection := accept(listener):
            connections[connection.fileno()] = connection


def serve_one(connections: Connections, unsent: dict[int, bytes], fd: int) -> None:
    """Sends the unsent data of a connection, or echoes its next data. Keeps what found no room. Closes an ended connection."""
    rest = echo(connections[fd], unsent.pop(fd, b""))
    if rest is None:
        connections.pop(fd).close()
    elif rest:
        unsent[fd] = rest
