"""A partial send dropped: send returns how many bytes found room, and the program must send the rest.

On a non-blocking socket send copies what finds room in the send buffer, and returns this number of bytes. A program that
ignores the number loses the rest: no call reports an error, and the peer gets too few bytes (man 2 send; UNP 3.9). Here the
connections have a small send buffer. A large buffer is as full when the peer reads slowly.
- `broken` ignores what send returns.
- `mended` keeps the rest, waits for room with EPOLLOUT, and sends the rest then.
- `blocking` has a thread for each connection, which sleeps in sendall until the send buffer has room.
"""

import select
import socket
import threading

from servers.kit.echo import accept, echo, talk

BUFFER = 4096  # bytes; the kernel doubles it, and has a least value of its own (man 7 socket: SO_SNDBUF)


def broken(listener: socket.socket) -> None:
    """Sends once, and takes all bytes for sent."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    with select.epoll() as epoll:
        epoll.register(listener, select.EPOLLIN)
        while True:
            for fd, _events in epoll.poll():
                if fd == listener.fileno():
                    if connection := small(accept(listener)):
                        connections[connection.fileno()] = connection
                        epoll.register(connection, select.EPOLLIN)
                elif echo(connections[fd], b"") is None:  # what echo could not send is lost here
                    connections.pop(fd).close()


def mended(listener: socket.socket) -> None:
    """Keeps what found no room, and reads on only when all is sent."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    unsent: dict[int, bytes] = {}
    with select.epoll() as epoll:
        epoll.register(listener, select.EPOLLIN)
        while True:
            for fd, events in epoll.poll():
                if fd == listener.fileno():
                    if connection := small(accept(listener)):
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


def blocking(listener: socket.socket) -> None:
    """Lets a thread for each connection wait for room."""
    while True:
        connection, _address = listener.accept()
        small(connection)
        threading.Thread(target=talk, args=(connection,), daemon=True).start()


def small(connection: socket.socket | None) -> socket.socket | None:
    """The connection with a small send buffer."""
    if connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
    return connection
