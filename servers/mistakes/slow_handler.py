"""One slow handler in an event loop: nobody else is served while it is at work.

The loop finds events and handles them, in one thread. A message that begins with SLOW takes HANDLING seconds, as a query to a
busy database would. In `broken` the handler sleeps in the loop, and whoever is ready waits with it. In `mended` the loop only
finds: each ready connection is handed to a pool, with EPOLLONESHOT so that one worker has it, and armed again when that
worker is done (man 2 epoll_ctl).
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
    """Answers what lies ready on one connection; False when the connection has ended."""
    try:
        data = connection.recv(65536)
        if data[:1] == SLOW:
            time.sleep(HANDLING)
        connection.sendall(data)
    except ConnectionError:
        return False
    return bool(data)


def join(listener: socket.socket) -> socket.socket | None:
    """The next connection, blocking: it is read only when epoll says so, and a slow reader holds up its own handler."""
    connection = accept(listener)
    if connection:
        connection.setblocking(True)
    return connection


def broken(listener: socket.socket) -> None:
    """Finds and handles in one loop."""
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
    """Finds in the loop, handles in a pool."""
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
