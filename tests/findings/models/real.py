"""Runs servers of other projects (servers.toml) under the probes, each with clients whose traffic shows its model.

Every server listens on loopback only, with its files in a folder of its own.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from findings.models.model import Architecture, Model
from probes.patience import PATIENCE
from probes.recording import Recording, load
from tests.conftest import COMMAND

CLIENTS, MESSAGES, GAP = 4, 8, 0.01
PYTHON = os.environ.get("IOLAB_SERVERS_PYTHON", sys.executable)  # which has the servers that pip installs
_SECONDS = 40 * PATIENCE  # until a server listens


@dataclass(frozen=True)
class Real:
    """A server of servers.toml."""

    name: str
    program: str
    package: str
    command: tuple[str, ...]
    models: tuple[Model, ...]
    architectures: tuple[Architecture, ...]
    files: tuple[tuple[str, str], ...] = ()
    before: tuple[tuple[str, ...], ...] = ()
    http: str | None = None
    lines: tuple[bytes, ...] = ()
    datagrams: tuple[bytes, ...] = ()
    greeting: bool = False
    messages: int = MESSAGES
    in_ci: bool = False

    @property
    def installed(self) -> bool:
        """Is the program, or the module of Python, there?"""
        kind, _, name = self.program.rpartition(":")
        if not kind:
            return shutil.which(name) is not None
        return subprocess.run([PYTHON, "-c", f"import {name}"], stderr=subprocess.DEVNULL).returncode == 0


@cache
def servers() -> tuple[Real, ...]:
    """All of them."""
    text = Path(__file__).with_name("servers.toml").read_text()
    return tuple(_read(**table) for table in tomllib.loads(text)["server"])


def _read(
    *,
    command: Sequence[str],
    models: Sequence[str],
    architectures: Sequence[str],
    files: dict[str, str] | None = None,
    before: Sequence[Sequence[str]] = (),
    lines: Sequence[str] = (),
    datagrams: Sequence[str] = (),
    name: str,
    program: str,
    package: str,
    http: str | None = None,
    greeting: bool = False,
    messages: int = MESSAGES,
    in_ci: bool = False,
) -> Real:
    return Real(
        name=name,
        program=program,
        package=package,
        command=tuple(command),
        models=tuple(map(Model, models)),
        architectures=tuple(map(Architecture, architectures)),
        files=tuple((files or {}).items()),
        before=tuple(map(tuple, before)),
        http=http,
        lines=tuple(line.encode("latin-1") for line in lines),
        datagrams=tuple(datagram.encode("latin-1") for datagram in datagrams),
        greeting=greeting,
        messages=messages,
        in_ci=in_ci,
    )


def record(server: Real, folder: Path) -> Recording:
    """Runs the server under the probes with its clients, and returns the recording."""
    folder.mkdir(parents=True)
    port = _free_port()

    def filled(text: str) -> str:
        return text.replace("PORT", str(port)).replace("FOLDER", str(folder)).replace("PYTHON", PYTHON)

    (folder / "index.html").write_text("hello\n" * 100)
    for name, text in server.files:
        (folder / name).write_text(filled(text))
    for command in server.before:
        subprocess.run(list(map(filled, command)), check=True, stdout=subprocess.DEVNULL)
    path = folder / "run.iolab"
    with _traced(list(map(filled, server.command)), path) as runner:
        end = time.monotonic() + _SECONDS
        while not _listens(port, udp=bool(server.datagrams)):
            assert runner.poll() is None and time.monotonic() < end, path.with_suffix(".log").read_text()[-2000:]
            time.sleep(0.05)
        time.sleep(0.3)  # no file of /proc shows when workers that start after the listener are ready
        _clients(server, port)
    return load(path)


def _clients(server: Real, port: int) -> None:
    """All clients at the same time. Raises the error of one that failed."""
    errors: list[Exception] = []

    def client() -> None:
        try:
            _talk(server, port)
        except Exception as error:
            errors.append(error)

    clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    if errors:
        raise errors[0]


def _talk(server: Real, port: int) -> None:
    if server.http is not None:
        _ask_for_pages(server.http, port)
    elif server.datagrams:
        _send_datagrams(server.datagrams[0], port)
    else:
        _send_lines(server, port)


def _ask_for_pages(path: str, port: int) -> None:
    """Over one connection if the server keeps it open."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20 * PATIENCE)
    with contextlib.closing(connection):
        for _ in range(MESSAGES):
            try:
                connection.request("GET", path)
                connection.getresponse().read()
            except http.client.RemoteDisconnected:  # the server closed the connection after its last answer
                connection.close()
            time.sleep(GAP)


def _send_lines(server: Real, port: int) -> None:
    """Requests, the last of them again and again, with an answer to each."""
    with socket.create_connection(("127.0.0.1", port), timeout=10 * PATIENCE) as connection:
        if server.greeting:
            connection.recv(65536)
        for number in range(server.messages):
            connection.sendall(server.lines[min(number, len(server.lines) - 1)])
            if not connection.recv(65536):
                return
            time.sleep(GAP)


def _send_datagrams(request: bytes, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10 * PATIENCE)
        for _ in range(MESSAGES):
            sock.sendto(request, ("127.0.0.1", port))
            sock.recv(4096)
            time.sleep(GAP)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _listens(port: int, udp: bool) -> bool:
    """Is there a socket that listens on that port? (A connection would be one more client for the server.)"""
    for family in ("udp", "udp6") if udp else ("tcp", "tcp6"):
        table = Path(f"/proc/net/{family}")
        for row in table.read_text().splitlines()[1:] if table.exists() else ():
            fields = row.split()  # proc(5): local address and port, state: 0A is TCP_LISTEN, 07 any unconnected UDP socket
            if int(fields[1].rpartition(":")[2], 16) == port and fields[3] == ("07" if udp else "0A"):
                return True
    return False


@contextlib.contextmanager
def _traced(command: Sequence[str], recording: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The command under `trace`, which passes SIGTERM on at the end, and then gives up what still runs.

    A session of its own: Apache sends the signal to its whole process group.
    """
    line = [*COMMAND, "trace", "--save", str(recording), "--out", str(recording.with_suffix(".txt")), "--", *command]
    with (
        recording.with_suffix(".log").open("wb") as log,
        subprocess.Popen(line, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True) as runner,
    ):
        try:
            yield runner
        finally:
            for how in (signal.SIGTERM, signal.SIGINT, signal.SIGINT):
                if runner.poll() is None:
                    runner.send_signal(how)
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        runner.wait(15 * PATIENCE)
            if runner.poll() is None:
                runner.kill()
