"""One connection's echo, blocking and non-blocking."""

from __future__ import annotations

import socket


def talk(connection: socket.socket) -> None:
    """Echoes one blocking connection to its end, asleep in recv or sendall whenever there is nothing to do."""
    with connection:
        try:
            while data := connection.recv(65536):
                connection.sendall(data)
        except ConnectionError:
            pass  # reset by its client


def accept(listener: socket.socket) -> socket.socket | None:
    """The next connection of a non-blocking listener, non-blocking too; None if nobody is there (any more)."""
    try:
        connection, _address = listener.accept()
    except (BlockingIOError, ConnectionError):
        return None
    connection.setblocking(False)
    return connection


def echo(connection: socket.socket, unsent: bytes) -> bytes | None:
    """Sends what is left over, or else what can be read now, without waiting.

    Returns what found no room, b"" if all went out or there was nothing to read, None when the connection has ended.
    """
    try:
        data = unsent or connection.recv(65536)
    except BlockingIOError:
        return b""
    except ConnectionError:
        return None
    if not data:
        return None
    try:
        return data[connection.send(data) :]
    except BlockingIOError:
        return data
    except ConnectionError:
        return None


def drain(connection: socket.socket, data: bytes) -> bytes | None:
    """Echoes until there is nothing to read or no room to send, without waiting.

    Returns what found no room, None when the connection has ended.
    """
    try:
        while True:
            while data:
                data = data[connection.send(data) :]
            if not (data := connection.recv(65536)):
                return None
    except BlockingIOError:
        return data
    except ConnectionError:
        return None
