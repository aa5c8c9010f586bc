"""The echo of one connection and of one datagram, blocking and non-blocking."""

from __future__ import annotations

import socket

Datagram = tuple[bytes, tuple[str, int]]  # the data and the sender's address


def talk(connection: socket.socket) -> None:
    """Echoes one blocking connection until it ends. Sleeps in recv without data, and in sendall without room."""
    with connection:
        try:
            while data := connection.recv(65536):
                connection.sendall(data)
        except ConnectionError:
            pass  # the client reset the connection


def accept(listener: socket.socket) -> socket.socket | None:
    """Accepts the next connection and makes it non-blocking. None if no connection waits (any more)."""
    try:
        connection, _address = listener.accept()
    except (BlockingIOError, ConnectionError):
        return None
    connection.setblocking(False)
    return connection


def echo(connection: socket.socket, unsent: bytes) -> bytes | None:
    """Sends the unsent data, or else reads once and sends that data. Does not wait.

    Returns the data that found no room in the send buffer, b"" if all data was sent or none could be read, and None if the
    connection has ended.
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
    """Sends and reads until EAGAIN: no data to read, or no room to send. Does not wait.

    Returns the data that found no room in the send buffer, and None if the connection has ended.
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


def receive(sock: socket.socket) -> Datagram | None:
    """The next datagram, perhaps of 0 bytes. A blocking socket waits for it; a non-blocking socket without one gives None."""
    while True:
        try:
            data, address = sock.recvfrom(65535)
        except BlockingIOError:
            return None
        except ConnectionError:
            continue  # ICMP "port unreachable" for an earlier echo: recvfrom reports it once, before the queued datagrams
        return data, address


def send_back(sock: socket.socket, datagram: Datagram) -> bool:
    """Sends the datagram back to its sender. A blocking socket waits for room; False if a non-blocking socket has no room.

    A datagram that can't be delivered (the sender's port is 0, or there is no route back) is dropped, as UDP allows.
    """
    while True:
        try:
            sock.sendto(*datagram)
        except BlockingIOError:
            return False
        except ConnectionError:
            continue  # the error of an earlier datagram; sendto reported it and did not send this datagram
        except OSError:
            pass
        return True
