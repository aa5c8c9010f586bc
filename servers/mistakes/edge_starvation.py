"""Edge-triggered means: drain it, or stall. Drained without a limit, one busy sender is all that the server ever serves.

The text's rule for edge-triggered epoll is to read until EAGAIN. A peer that sends faster than the server reads never lets it
come to EAGAIN: `broken` stays with that connection, and the others' data lies ready all the while. `mended` takes at most TURN
pieces, then puts the connection at the end of its own list of ready ones and looks at the others (man 7 epoll, "Starvation").
"""

import collections
import select
import socket

from servers.kit.echo import accept

PIECE = 256  # bytes: a protocol of small messages
TURN = 16  # pieces at a time
BOTH = select.EPOLLIN | select.EPOLLOUT | select.EPOLLET


def pieces(connection: socket.socket, unsent: bytes, most: float) -> tuple[bytes | None, bool]:
    """Echoes piece by piece. Returns what found no room (None: it has ended), and whether more may lie ready."""
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
    """Drains each connection before it looks at the next."""
    _serve(listener, float("inf"))


def mended(listener: socket.socket) -> None:
    """Gives each connection a turn."""
    _serve(listener, TURN)


def _serve(listener: socket.socket, most: float) -> None:
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    unsent: dict[int, bytes] = {}
    ready: collections.OrderedDict[int, None] = collections.OrderedDict()  # told once by the kernel: remembered here
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
