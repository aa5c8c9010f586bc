"""Wrong for lab nonblocking: each function is a polling server with one fault that a student could make.

`WRONG` has, for each of them, words that the evidence of a failed check must contain. `RIGHT` names servers that are written in
another way than servers/nonblocking.py, and are right: the lab passes on them.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket

from servers.kit.echo import accept, echo, talk
from servers.nonblocking import serve as polling

WRONG = {
    "blocking_accepted": "times in recvfrom, on the socket's queue",
    "listener_only": "times in recvfrom, on the socket's queue",
    "with_time_out": "times in poll",
    "waits_in_select": "times in pselect6",
    "pauses": "times in clock_nanosleep",
    "one_by_one": "of other connections while data was unread",
    "one_by_one_each_round": "of other connections while data was unread",
}
RIGHT = ("asks_for_each_call", "read_and_write")


def blocking_accepted(listener: socket.socket) -> None:
    """Makes the listener non-blocking, and leaves the accepted connections blocking: recv sleeps on each of them in turn."""
    listener.setblocking(False)
    connections: list[socket.socket] = []
    while True:
        with contextlib.suppress(BlockingIOError):
            connections.append(listener.accept()[0])
        for connection in list(connections):
            if data := connection.recv(65536):
                connection.sendall(data)
            else:
                connections.remove(connection)
                connection.close()


def listener_only(listener: socket.socket) -> None:
    """Polls the listener, and then serves the connection with blocking reads until it ends."""
    listener.setblocking(False)
    while True:
        with contextlib.suppress(BlockingIOError):
            connection, _address = listener.accept()
            connection.setblocking(True)
            talk(connection)


def with_time_out(listener: socket.socket) -> None:
    """Sets a time-out of 1 ms in place of setblocking(False): Python then sleeps in poll before each call."""
    listener.settimeout(0.001)
    connections: list[socket.socket] = []
    while True:
        with contextlib.suppress(TimeoutError):
            connections.append(listener.accept()[0])
            connections[-1].settimeout(0.001)
        for connection in list(connections):
            with contextlib.suppress(TimeoutError):
                if data := connection.recv(65536):
                    connection.sendall(data)
                else:
                    connections.remove(connection)
                    connection.close()


def waits_in_select(listener: socket.socket) -> None:
    """Sleeps in select until a descriptor is ready, and then polls all of them."""
    listener.setblocking(False)
    connections: list[socket.socket] = []
    while True:
        select.select([listener, *connections], [], [])
        _round(listener, connections)


def _round(listener: socket.socket, connections: list[socket.socket]) -> None:
    """One call for the listener, and one for each connection; the messages of the test are short enough for the send buffer."""
    if connection := accept(listener):
        connections.append(connection)
    for connection in list(connections):
        if echo(connection, b"") is None:
            connections.remove(connection)
            connection.close()


def pauses(listener: socket.socket) -> None:
    """Sleeps for 1 ms between two rounds."""
    polling(listener, pause=0.001)


def one_by_one(listener: socket.socket) -> None:
    """Polls one connection until it ends, and only then accepts the next."""
    listener.setblocking(False)
    while True:
        if connection := accept(listener):
            while echo(connection, b"") is not None:
                pass
            connection.close()


def one_by_one_each_round(listener: socket.socket) -> None:
    """Polls the listener in each round, and of the connections only the oldest."""
    listener.setblocking(False)
    connections: list[socket.socket] = []
    while True:
        if connection := accept(listener):
            connections.append(connection)
        if connections and echo(connections[0], b"") is None:
            connections.pop(0).close()


def asks_for_each_call(listener: socket.socket) -> None:
    """Right: leaves the connections blocking, and asks for each call not to wait (MSG_DONTWAIT)."""
    listener.setblocking(False)
    connections: dict[socket.socket, bytes] = {}
    while True:
        with contextlib.suppress(BlockingIOError):
            connection, _address = listener.accept()
            connection.setblocking(True)
            connections[connection] = b""
        for connection, unsent in list(connections.items()):
            try:
                data = unsent or connection.recv(65536, socket.MSG_DONTWAIT)
                if data:
                    connections[connection] = data
                    connections[connection] = data[connection.send(data, socket.MSG_DONTWAIT) :]
                    continue
            except BlockingIOError:
                continue
            except ConnectionError:
                pass
            del connections[connection]
            connection.close()


def read_and_write(listener: socket.socket) -> None:
    """Right: reads and writes the descriptors with the calls for files, and accepts all that wait in each round."""
    listener.setblocking(False)
    connections: dict[socket.socket, bytes] = {}
    while True:
        while connection := accept(listener):
            connections[connection] = b""
        for connection, unsent in list(connections.items()):
            try:
                data = unsent or os.read(connection.fileno(), 4096)
                if data:
                    connections[connection] = data
                    connections[connection] = data[os.write(connection.fileno(), data) :]
                    continue
            except BlockingIOError:
                continue
            except ConnectionError:
                pass
            del connections[connection]
            connection.close()
