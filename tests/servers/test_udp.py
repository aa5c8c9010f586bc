"""Every server that speaks UDP: order, all sizes, many senders, clients that vanish, a full send buffer, signals."""

from __future__ import annotations

import functools
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Iterator

import pytest

from servers.__main__ import models, speaks_udp
from tests.conftest import ROOT, cannot, tool
from tests.servers.running import Server, ended, falls_quiet, started

MODELS = [model for model in models() if speaks_udp(model)]
# The server of the model named in argv[1], on a socket with an option set: argv[2] to argv[4].
WITH_OPTION = """
import socket, sys
from servers.__main__ import find
model, level, option, value = sys.argv[1], *map(int, sys.argv[2:])
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(level, option, value)
sock.bind(("127.0.0.1", 0))
print("ready", *sock.getsockname(), flush=True)
find(model, udp=True)(sock)
"""
IP_RECVERR = 11  # linux/in.h; Python has no name for it before 3.14


@pytest.fixture(params=MODELS, scope="module")
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Serves the clients of all tests, one test after the other."""
    with started(request.param, "--udp") as server:
        yield server
        assert server[0].poll() is None, "the server has ended"


@pytest.fixture(params=MODELS)
def own_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """For the tests that end their server."""
    with started(request.param, "--udp") as server:
        yield server


def client(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect(("127.0.0.1", port))
    sock.settimeout(20)
    return sock


def test_the_models_are_those_of_the_catalogue() -> None:
    assert MODELS == ["asyncio", "blocking", "epoll", "io_uring", "nonblocking", "poll", "select", "signal_driven"]


@functools.cache
def four_thousand() -> list[bytes]:
    seeded = random.Random(11)
    return [seeded.randbytes(seeded.choice((0, 1, 64, 64, 64, 1400, 9000, 60_000))) for _ in range(4000)]


def test_datagrams_of_all_sizes_come_back_whole_and_in_order(server: Server) -> None:
    """Four thousand, up to eight under way at once, and never more bytes than a receive buffer holds: so none may be lost."""
    under_way: deque[bytes] = deque()
    with client(server[1]) as sock:
        for data in four_thousand():
            while len(under_way) == 8 or sum(map(len, under_way)) + len(data) > 70_000:
                assert sock.recv(65535) == under_way.popleft()
            sock.send(data)
            under_way.append(data)
        while under_way:
            assert sock.recv(65535) == under_way.popleft()


def test_two_hundred_senders_get_their_own(server: Server) -> None:
    senders = [client(server[1]) for _ in range(200)]
    for turn in range(10):
        for number, sock in enumerate(senders):
            sock.send(f"{number}:{turn}".encode())
        for number, sock in enumerate(senders):
            assert sock.recv(65535) == f"{number}:{turn}".encode()
    for sock in senders:
        sock.close()


def test_a_client_that_vanished_harms_nobody(server: Server) -> None:
    for _ in range(20):
        with client(server[1]) as gone:
            gone.send(b"x" * 1000)
    with client(server[1]) as sock:
        for number in range(100):
            sock.send(str(number).encode())
            assert sock.recv(65535) == str(number).encode()


def test_a_client_without_a_port_harms_nobody(server: Server) -> None:
    """A datagram whose source port is 0 can't be answered: sendto fails with EINVAL."""
    try:
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
    except PermissionError:
        cannot("only root may make a raw socket", "run the tests as root")
    with raw, client(server[1]) as sock:
        header = b"\0\0" + server[1].to_bytes(2, "big") + (8 + 5).to_bytes(2, "big") + b"\0\0"
        raw.sendto(header + b"hello", ("127.0.0.1", 0))
        sock.send(b"still there?")
        assert sock.recv(65535) == b"still there?"


def receive_errors(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)


def test_an_unconnected_socket_gets_the_error_of_a_closed_port_with_ip_recverr() -> None:
    """The ground of the next test, on a socket of our own: the error comes at the next call, and once."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        address = gone.getsockname()
        gone.close()
        receive_errors(sock)
        sock.sendto(b"x", address)
        with pytest.raises(ConnectionRefusedError):
            sock.recvfrom(1)


@pytest.mark.parametrize("model", MODELS)
def test_econnrefused_costs_no_datagram(model: str) -> None:
    """The server's socket gets each "port unreachable" (IP_RECVERR) as the error of its next receive or send."""
    option = [str(word) for word in (socket.IPPROTO_IP, IP_RECVERR, 1)]
    line = [sys.executable, "-c", WITH_OPTION, model, *option]
    with subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            port = int(process.stdout.readline().split()[2])
            with client(port) as sock:
                for number in range(100):
                    with client(port) as gone:
                        gone.send(b"x")
                    data = [f"{number}:{datagram}".encode() for datagram in range(3)]
                    for datagram in data:
                        sock.send(datagram)
                    assert [sock.recv(65535) for _ in data] == data
            assert process.poll() is None
        finally:
            process.kill()


# Runs in a network namespace whose loopback is slow; argv: WITH_OPTION, the model. It does not import the tests, whose imports
# take 0.5 s of CPU time. It prints how often the server slept, and the most bytes in its send buffer.
FULL = """
import socket, subprocess, sys
from pathlib import Path
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
def switches(pid):
    return int(Path(f"/proc/{pid}/status").read_text().split("nonvoluntary")[0].split("voluntary_ctxt_switches:")[1])
slow = "tc qdisc add dev lo root tbf rate 1mbit burst 2000 limit 1000000"
subprocess.run(slow.split(), check=True)
option = [str(word) for word in (socket.SOL_SOCKET, socket.SO_SNDBUF, 4608)]
with subprocess.Popen([sys.executable, "-c", *sys.argv[1:], *option], stdout=subprocess.PIPE, text=True) as process:
    try:
        port = int(process.stdout.readline().split()[2])
        filled = 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect(("127.0.0.1", port))
            sock.settimeout(20)
            before = switches(process.pid)
            sent = [bytes([number]) * 1000 for number in range(60)]
            for data in sent:
                sock.send(data)
            for number, data in enumerate(sent):
                assert sock.recv(65535) == data, number
                for row in map(str.split, Path("/proc/net/udp").read_text().splitlines()[1:]):
                    if int(row[1].split(":")[1], 16) == port:
                        filled = max(filled, int(row[4].split(":")[0], 16))
            print(switches(process.pid) - before, filled)
    finally:
        process.kill()
"""


@pytest.mark.parametrize("model", MODELS)
def test_a_full_send_buffer_is_waited_for(model: str) -> None:
    """A loopback that takes a megabit per second: the echoes stand in the server's small send buffer. None is lost."""
    tool("tc", "iproute2")
    unshare = tool("unshare", "util-linux")
    if os.geteuid() != 0:
        cannot("only root can make a network namespace", "run the tests as root")
    line = [unshare, "--net", sys.executable, "-c", FULL, WITH_OPTION, model]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=120)
    if "qdisc kind is unknown" in done.stderr:
        cannot("this kernel has no tbf", "load the module sch_tbf")
    assert done.returncode == 0, done.stderr
    sleeps, filled = map(int, done.stdout.split())
    assert filled >= 4608, "the buffer was to be full"
    # On a busy machine a thread that waits for the buffer finds room for several echoes when it gets a CPU.
    assert (sleeps < 10) == (model == "nonblocking")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_on_a_signal(own_server: Server, how: signal.Signals) -> None:
    process, port = own_server
    with client(port) as sock:
        sock.send(b"hello")
        assert sock.recv(65535) == b"hello"
        assert ended(process, how) == 0
    assert process.stderr and process.stderr.read() == ""


def test_it_does_not_spin_while_its_client_is_silent(server: Server) -> None:
    process, port = server
    with client(port) as sock:
        sock.send(b"hello")
        assert sock.recv(65535) == b"hello"
        spins = process.args[3] == "nonblocking"  # type: ignore[index]
        assert falls_quiet(process, sock, within=0.4 if spins else 5) != spins


def test_netcat_is_a_client_like_any_other(server: Server) -> None:
    nc = shutil.which("nc")
    if nc is None:
        with client(server[1]) as sock:
            sock.send(b"typed by hand\n")
            assert sock.recv(65535) == b"typed by hand\n"
        return
    line = [nc, "-u", "127.0.0.1", str(server[1])]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        process.stdin.write("typed by hand\n")
        process.stdin.flush()
        assert process.stdout.readline() == "typed by hand\n"
        process.kill()
