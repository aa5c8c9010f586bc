"""The selectors server of many courses, with a callback for each event: it sends, and ignores the result of send.

In `broken` the connections are non-blocking. A client that does not read fills the send buffer. Then send takes a part of the
data and returns its size, which the program ignores, and the next send gets EAGAIN. The program catches that error with all
others, and closes a connection that has no fault. `mended` keeps what was not sent, waits for room (EVENT_WRITE), and reads no
more of that connection until then.
"""

import selectors
import socket
from functools import partial

SEND_BUFFER = 16384  # bytes; small, so that a few messages fill it


def broken(listener: socket.socket) -> None:
    """Drops what send does not take, and closes the connection where send takes nothing."""
    _small(listener)
    selector = selectors.DefaultSelector()

    def on_connection(_sock: socket.socket) -> None:
        connection, _address = listener.accept()
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ, on_data)

    def on_data(connection: socket.socket) -> None:
        try:
            data = connection.recv(1024)
            if not data:
                raise ConnectionResetError
            connection.send(data)
        except OSError:
            selector.unregister(connection)
            connection.close()

    selector.register(listener, selectors.EVENT_READ, on_connection)
    while True:
        for key, _events in selector.select():
            key.data(key.fileobj)


def mended(listener: socket.socket) -> None:
    """Keeps what send does not take, and sends it when the send buffer has room again."""
    _small(listener)
    selector = selectors.DefaultSelector()

    def on_connection(_sock: socket.socket) -> None:
        connection, _address = listener.accept()
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ, on_data)

    def on_data(connection: socket.socket) -> None:
        try:
            data = connection.recv(1024)
        except ConnectionError:
            data = b""
        if data:
            on_room(data, connection)
        else:
            end(connection)

    def on_room(unsent: bytes, connection: socket.socket) -> None:
        try:
            rest = unsent[connection.send(unsent) :]
        except BlockingIOError:
            rest = unsent
        except ConnectionError:
            end(connection)
            return
        if rest:
            selector.modify(connection, selectors.EVENT_WRITE, partial(on_room, rest))
        else:
            selector.modify(connection, selectors.EVENT_READ, on_data)

    def end(connection: socket.socket) -> None:
        selector.unregister(connection)
        connection.close()

    selector.register(listener, selectors.EVENT_READ, on_connection)
    while True:
        for key, _events in selector.select():
            key.data(key.fileobj)


def _small(listener: socket.socket) -> None:
    """The connections inherit the listener's size of the send buffer."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    listener.setblocking(False)
