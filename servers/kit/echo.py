"""One connection's echo, and one datagram's, blocking and non-blocking."""

from __future__ import annotations

import socket

Datagram = tuple[bytes, tuple[str, int]]  # and where it came from


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


def receive(sock: socket.socket) -> Datagram | None:
    """The next datagram, perhaps of 0 bytes; None if there is none (a blocking socket waits for it)."""
    while True:
        try:
            data, address = sock.recvfrom(65535)
        except BlockingIOError:
            return None
        except ConnectionError:
            continue  # ICMP "port unreachable": an echo found its client gone. It is told once, before what is in the queue
        return data, address


def send_back(sock: socket.socket, datagram: Datagram) -> bool:
    """Sends it to where it came from: whole, as datagrams are. False if there was no room (a blocking socket waits for it).

    What can't be delivered (a sender's port 0, no route back) is dropped, as UDP may.
    """
    while True:
        try:
            sock.sendto(*datagram)
        except BlockingIOError:
            return False
        except ConnectionError:
            continue  # an earlier one found nobody; that is told in place of sending this one
        except OSError:
            pass
        return True
