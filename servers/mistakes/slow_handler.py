"""A slow handler in an event loop: no other connection is served while it runs.

A message that begins with SLOW takes HANDLING seconds, like a query to a busy database. In `broken`, one thread waits for
events and handles them. The handler sleeps in the loop, and all other ready connections wait. In `mended`, the loop only waits
for events and gives each ready connection to a pool of threads. EPOLLONESHOT makes sure that one worker has the connection;
the worker arms the descriptor again when it is done (man 2 epoll_ctl).
"""

import select
import socket
import time
from concurrent.futures import ThreadPoolExecutor

from servers.kit.echo import accept

SLOW = b"!"
HANDLING = 0.03  # seconds
WORKERS = 4


def handle(connection: socket.socket) -> bool:
    """Answers the data of one connection. False if the connection has ended."""
    try:
        data = connection.recv(65536)
        if data[:1] == SLOW:
            time.sleep(HANDLING)
        connection.sendall(data)
    except ConnectionError:
        return False
    return bool(data)


def join(listener: socket.socket) -> socket.socket | None:
    """The next connection, in blocking mode: recv follows only after epoll_wait, and a slow client delays its own handler."""
    connection = accept(listener)
    if connection:
        connection.setblocking(True)
    return connection


def broken(listener: socket.socket) -> None:
    """Waits for events and handles them in one loop."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    with select.epoll() as epoll:
        epoll.register(listener, select.EPOLLIN)
        while True:
            for fd, _events in epoll.poll():
                if fd == listener.fileno():
                    if connection := join(listener):
                        connections[connection.fileno()] = connection
                        epoll.register(connection, select.EPOLLIN)
                elif not handle(connections[fd]):
                    connections.pop(fd).close()


def mended(listener: socket.socket) -> None:
    """Waits for events in the loop, handles them in a pool."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    once = select.EPOLLIN | select.EPOLLONESHOT
    with select.epoll() as epoll, ThreadPoolExecutor(WORKERS) as pool:

        def work(fd: int) -> None:
            if handle(connections[fd]):
                epoll.modify(fd, once)
            else:
                connections.pop(fd).close()

        epoll.register(listener, select.EPOLLIN)
        while True:
            for fd, _events in epoll.poll():
                if fd == listener.fileno():
                    if connection := join(listener):
                        connections[connection.fileno()] = connection
                        epoll.register(connection, once)
                else:
                    pool.submit(work, fd)
