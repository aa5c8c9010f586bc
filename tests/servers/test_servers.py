"""Every server over TCP with what servers meet: bytes in any pieces, resets, half-closed peers, slow readers, SIGTERM."""

from __future__ import annotations

import functools
import random
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from servers.__main__ import models
from tests.conftest import ROOT
from tests.servers.running import Server, ended, falls_quiet, started

VARIANTS = ["io_uring:multishot", "io_uring:sqpoll", "io_uring:worker"]
TEXTBOOK = [f"textbook.{name}:mended" for name in ("nonblocking", "one_message", "select", "selectors")]
ONE_BY_ONE = {"blocking", "textbook.one_message:mended"}  # serve one connection after the other
SPINNING = {"nonblocking", "textbook.nonblocking:mended"}


@pytest.fixture(params=[*models(), *VARIANTS, *TEXTBOOK], scope="module")
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Serves the clients of all tests, one test after the other."""
    with started(request.param) as server:
        yield server
        assert server[0].poll() is None, "the server has ended"


@pytest.fixture(params=[*models(), *VARIANTS, *TEXTBOOK])
def own_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """For the tests that end their server."""
    with started(request.param) as server:
        yield server


def connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.settimeout(20)
    return connection


def test_a_client_that_does_not_read_holds_up_nobody_else(server: Server) -> None:
    """Its echo fills every buffer on the way; but the blocking server has just one client at a time, and that is its point."""
    if server[0].args[3] in ONE_BY_ONE:  # type: ignore[index, operator]
        pytest.skip("this server serves one connection after the other")
    with connect(server[1]) as deaf, connect(server[1]) as other:
        deaf.setblocking(False)
        while select.select([], [deaf], [], 0.3)[1]:  # until nothing has moved for so long: the server waits for room
            deaf.send(b"x" * 65536)
        for number in range(50):
            other.sendall(str(number).encode())
            assert receive(other, len(str(number))) == str(number).encode()


def test_the_server_does_not_spin_while_its_client_is_silent(server: Server) -> None:
    process, port = server
    with connect(port) as connection:
        connection.sendall(b"hello")
        assert receive(connection, 5) == b"hello"
        spins = process.args[3] in SPINNING  # type: ignore[index, operator]
        assert falls_quiet(process, connection, within=0.4 if spins else 5) != spins


def test_it_listens_on_loopback(server: Server) -> None:
    process, port = server
    listening = [socket for socket in psutil.Process(process.pid).net_connections() if socket.status == psutil.CONN_LISTEN]
    assert {socket.laddr for socket in listening} == {("127.0.0.1", port)}


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


@functools.cache
def sixteen_megabytes() -> bytes:
    return random.Random(5).randbytes(16 << 20)


def test_a_slow_reader_loses_nothing(server: Server) -> None:
    """The echo of 16 MB fits into no buffer: the server has to wait for room, with bytes in its hands."""
    data = sixteen_megabytes()
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


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_on_a_signal_with_an_open_connection(own_server: Server, how: signal.Signals) -> None:
    process, port = own_server
    with connect(port) as connection:
        connection.sendall(b"hello")
        assert receive(connection, 5) == b"hello"
        assert ended(process, how) == 0
        assert connection.recv(1) == b""
    assert process.stderr and process.stderr.read() == ""


def test_netcat_is_a_client_like_any_other(server: Server) -> None:
    """nc, else bash, else a socket of our own."""
    port = str(server[1])
    if nc := shutil.which("nc"):
        line = [nc, "127.0.0.1", port]
    elif bash := shutil.which("bash"):
        line = [bash, "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port}; head -n 1 >&3; head -n 1 <&3"]
    else:
        with connect(server[1]) as connection:
            connection.sendall(b"typed by hand\n")
            assert receive(connection, 14) == b"typed by hand\n"
        return
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdin and client.stdout
        client.stdin.write("typed by hand\n")
        client.stdin.flush()
        assert client.stdout.readline() == "typed by hand\n"
        client.kill()


def test_a_taken_port_is_an_error_in_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        line = [sys.executable, "-m", "servers", models()[0], "--port", str(taken.getsockname()[1])]
        done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "can't listen" in done.stderr and "--port 0" in done.stderr
