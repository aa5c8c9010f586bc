"""Starvation with edge-triggered epoll: a server that reads until EAGAIN may serve one busy sender only.

The rule for edge-triggered epoll is to read until EAGAIN. If a peer sends faster than the server reads, the server never gets
EAGAIN. `broken` stays with that connection, and the data of the other connections stays unread in their sockets. `mended` reads
at most TURN pieces, then moves the connection to the end of its own list of ready connections, and serves the others (man 7
epoll, "Starvation").
"""

import collections
import select
import socket

from servers.kit.echo import accept

PIECE = 256  # bytes, as in a protocol of small messages
TURN = 16  # pieces
BOTH = select.EPOLLIN | select.EPOLLOUT | select.EPOLLET


def pieces(connection: socket.socket, unsent: bytes, most: float) -> tuple[bytes | None, bool]:
    """Echoes up to `most` pieces. Returns the unsent data (None: the connection has ended), and whether more may be unread."""
    done = 0
    try:
        while done < most:
            while unsent:
                unsent = unsent[connection.send(unsent) :]
            if not (unsent := connection.recv(PIECE)):
                return None, False
            done += 1
        while unsent:
            unsent = unsent[connection.send(unsent) :]
    except BlockingIOError:
        return unsent, False
    except ConnectionError:
        return None, False
    return unsent, True


def broken(listener: socket.socket) -> None:
    """Reads each connection until EAGAIN before it serves the next."""
    _serve(listener, float("inf"))


def mended(listener: socket.socket) -> None:
    """Serves the connections in turns of TURN pieces."""
    _serve(listener, TURN)


def _serve(listener: socket.socket, most: float) -> None:
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    unsent: dict[int, bytes] = {}
    ready: collections.OrderedDict[int, None] = collections.OrderedDict()  # the kernel reports each once, so keep them
    with select.epoll() as epoll:
        epoll.register(listener, select.EPOLLIN)
        while True:
            for fd, _events in epoll.poll(0 if ready else None):
                ready[fd] = None
            for fd in list(ready):
                del ready[fd]
                if fd == listener.fileno():
                    if connection := accept(listener):
                        connections[connection.fileno()] = connection
                        epoll.register(connection, BOTH)
                    continue
                rest, more = pieces(connections[fd], unsent.pop(fd, b""), most)
                if rest is None:
                    connections.pop(fd).close()
                elif more:
                    ready[fd] = None
                elif rest:
                    unsent[fd] = rest
