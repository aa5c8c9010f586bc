"""The first server of most courses: it accepts a connection, receives once, sends once, and closes.

TCP is a stream of bytes and knows no messages. In `broken`, recv(1024) returns the bytes that are there, at most 1,024 of them:
the rest of a longer message stays in the socket, and close discards it. A client that sends a second message finds its
connection closed. `mended` reads until the client ends the connection (recv returns b""), and sendall sends all bytes.
TCP_NODELAY sends the second part of an answer at once, without waiting for the client's acknowledgement of the first
(man 7 tcp).
"""

import socket


def broken(listener: socket.socket) -> None:
    """Serves one message of each connection, and treats the result of the first recv as this message."""
    while True:
        connection, _address = listener.accept()
        try:
            data = connection.recv(1024)
            connection.send(data)
        except ConnectionError:
            pass  # the client reset the connection
        connection.close()


def mended(listener: socket.socket) -> None:
    """Serves each connection to its end."""
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # connections inherit this option
    while True:
        connection, _address = listener.accept()
        try:
            while data := connection.recv(1024):
                connection.sendall(data)
        except ConnectionError:
            pass  # the client reset the connection
        connection.close()
