"""The echo of one connection: what is left unsent, what a reset does, and datagrams of any size."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from servers.kit import echo

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A server's non-blocking socket with a small send buffer, and its client's socket."""
    server, client = socket.socketpair()
    with server, client:
        server.setblocking(False)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        yield server, client


def test_one_step_reads_once_and_sends_it_back(pair: Pair) -> None:
    server, client = pair
    assert echo.echo(server, b"") == b"", "no data yet"
    client.send(b"first")
    assert echo.echo(server, b"") == b"" and client.recv(100) == b"first"


def test_data_without_room_is_left_and_sent_first(pair: Pair) -> None:
    server, client = pair
    sent = bytes(range(256)) * 400
    client.sendall(sent)
    received = b""
    rest = echo.echo(server, b"")
    assert rest, "the send buffer is smaller than the data"
    while len(received) < len(sent):
        received += client.recv(65536)
        rest = echo.echo(server, rest or b"")
        assert rest is not None
    assert received == sent


@pytest.mark.parametrize("step", [lambda server: echo.echo(server, b""), lambda server: echo.drain(server, b"")])
def test_the_end_of_a_connection_is_none(pair: Pair, step: object) -> None:
    server, client = pair
    client.close()
    assert callable(step) and step(server) is None


def test_a_client_that_has_gone_ends_the_connection(pair: Pair) -> None:
    server, client = pair
    client.close()
    assert echo.echo(server, b"unsent") is None and echo.drain(server, b"unsent") is None


def test_drain_goes_on_until_eagain(pair: Pair) -> None:
    server, client = pair
    client.send(b"first")
    client.send(b"second")
    assert echo.drain(server, b"unsent ") == b""
    assert client.recv(100) == b"unsent firstsecond"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def test_accept_makes_the_connection_non_blocking(listener: socket.socket) -> None:
    assert echo.accept(listener) is None
    with socket.create_connection(listener.getsockname()):
        connection = echo.accept(listener)
        assert connection and not connection.getblocking()
        connection.close()


def test_a_reset_ends_the_talk_without_an_error(listener: socket.socket) -> None:
    client = socket.create_connection(listener.getsockname())
    connection = echo.accept(listener)
    assert connection
    connection.setblocking(True)
    thread = threading.Thread(target=echo.talk, args=(connection,))
    thread.start()
    client.send(b"x")
    assert client.recv(1) == b"x"
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    thread.join(10)
    assert not thread.is_alive() and connection.fileno() == -1


def test_a_datagram_of_no_bytes_is_a_datagram() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        server.bind(("127.0.0.1", 0))
        server.setblocking(False)
        assert echo.receive(server) is None
        for data in (b"", b"x" * 60_000):
            client.sendto(data, server.getsockname())
            datagram = echo.receive(server)
            assert datagram == (data, ("127.0.0.1", client.getsockname()[1]))
            assert datagram and echo.send_back(server, datagram) and client.recv(65535) == data
        assert echo.send_back(server, (b"x", ("127.0.0.1", 0))), "a datagram to port 0 is dropped"
