"""Every server with what servers meet: bytes in any pieces, resets, half-closed peers, slow readers, SIGTERM, a taken port."""

from __future__ import annotations

import contextlib
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator

import pytest

from servers.__main__ import models
from tests.conftest import ROOT

Server = tuple[subprocess.Popen[str], int]


@pytest.fixture(params=models())
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    line = [sys.executable, "-m", "servers", request.param, "--port", "0", "--with-parent", str(os.getpid())]
    with subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        ready, host, port = process.stdout.readline().split()
        assert (ready, host) == ("ready", "127.0.0.1")
        try:
            yield process, int(port)
        finally:
            process.kill()


def connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.settimeout(20)
    return connection


def receive(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (piece := connection.recv(size - len(data))):
        data += piece
    return data


def test_bytes_in_any_pieces_come_back_in_order(server: Server) -> None:
    seeded = random.Random(7)
    with connect(server[1]) as connection:
        for _ in range(300):
            data = seeded.randbytes(seeded.choice((1, 2, 63, 1000, 9000)))
            cut = seeded.randrange(len(data) + 1)
            connection.sendall(data[:cut])
            connection.sendall(data[cut:])
            assert receive(connection, len(data)) == data


def test_a_half_closed_peer_gets_the_rest_and_then_the_end(server: Server) -> None:
    data = random.Random(3).randbytes(50_000)
    with connect(server[1]) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        assert receive(connection, len(data)) == data
        assert connection.recv(1) == b""


def test_a_reset_ends_one_connection_and_not_the_server(server: Server) -> None:
    for _ in range(5):
        broken = connect(server[1])
        broken.sendall(b"x" * 10_000)
        broken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        broken.close()
    with connect(server[1]) as connection:
        connection.sendall(b"still there?")
        assert receive(connection, 12) == b"still there?"


def test_a_slow_reader_loses_nothing(server: Server) -> None:
    """The echo of 16 MB fits into no buffer: the server has to wait for room, with bytes in its hands."""
    data = random.Random(5).randbytes(16 << 20)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)  # before connect: the window never was larger
        connection.connect(("127.0.0.1", server[1]))
        connection.setblocking(False)
        sent, back = 0, bytearray()
        while len(back) < len(data):
            # nothing is read while anything can be sent: both sides fill up
            readable, writable, _ = select.select([connection], [connection] if sent < len(data) else [], [], 20)
            assert readable or writable, "nothing moves any more"
            if writable:
                sent += connection.send(data[sent : sent + 65536])
            else:
                back += connection.recv(65536)
        assert back == data


def test_connections_come_and_go(server: Server) -> None:
    for number in range(200):
        with connect(server[1]) as connection:
            data = str(number).encode()
            connection.sendall(data)
            assert receive(connection, len(data)) == data


def ended(process: subprocess.Popen[str], how: signal.Signals) -> int | None:
    """Its status. Python may look just before a signal comes and sleep just after (labs/kit/processes.py): then once more."""
    for _ in range(3):
        process.send_signal(how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(5)
    return None


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_on_a_signal_with_an_open_connection(server: Server, how: signal.Signals) -> None:
    process, port = server
    with connect(port) as connection:
        connection.sendall(b"hello")
        assert receive(connection, 5) == b"hello"
        assert ended(process, how) == 0
        assert connection.recv(1) == b""
    assert process.stderr and process.stderr.read() == ""


def test_a_taken_port_is_an_error_in_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        line = [sys.executable, "-m", "servers", models()[0], "--port", str(taken.getsockname()[1])]
        done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "can't listen" in done.stderr and "--port 0" in done.stderr
