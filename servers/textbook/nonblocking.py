"""The non-blocking server of many courses: the listener is non-blocking, but the connections block.

On Linux a socket from accept does not inherit O_NONBLOCK from the listener (man 2 accept). On BSD it does, and Python adds
nothing to either. So recv in `broken` sleeps on the first connection without data. The BlockingIOError that the program
expects never comes, and all other connections wait. `mended` makes each connection non-blocking and keeps the data that send
did not take. `working` is `mended` with other work between two rounds, which is what non-blocking calls are recommended for.
"""

import socket

WORK = 600_000  # numbers to add between two rounds: some milliseconds


def broken(listener: socket.socket) -> None:
    """Makes only the listener non-blocking."""
    listener.setblocking(False)
    connections: list[socket.socket] = []
    while True:
        try:
            connection, _address = listener.accept()
            connections.append(connection)
        except BlockingIOError:
            ended = []
            for connection in connections:
                try:
                    data = connection.recv(1024)
                    if data:
                        connection.send(data)
                    else:
                        ended.append(connection)
                except BlockingIOError:
                    pass
                except ConnectionError:
                    ended.append(connection)
            for connection in ended:
                connections.remove(connection)
                connection.close()


def mended(listener: socket.socket) -> None:
    """Makes the listener and every connection non-blocking."""
    _serve(listener, 0)


def working(listener: socket.socket) -> None:
    """Adds WORK numbers after each round of polling."""
    _serve(listener, WORK)


def _serve(listener: socket.socket, work: int) -> None:
    listener.setblocking(False)
    unsent: dict[socket.socket, bytes] = {}
    while True:
        try:
            connection, _address = listener.accept()
            connection.setblocking(False)
            unsent[connection] = b""
        except BlockingIOError:
            for connection in list(unsent):
                try:
                    data = unsent[connection] or connection.recv(1024)
                    if not data:
                        raise ConnectionResetError
                    unsent[connection] = data
                    unsent[connection] = data[connection.send(data) :]
                except BlockingIOError:
                    pass
                except ConnectionError:
                    del unsent[connection]
                    connection.close()
            sum(range(work))  # other work: no system call, and no sleep
