"""Servers of other projects, each with the traffic that shows its model, and what it is by its documentation.

Every server listens on loopback only, with its files in a folder of its own. `python -m tests.findings.models.real` runs those
that are installed, and prints what they classify as.
"""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from findings.models import Architecture, Model
from probes.patience import PATIENCE
from probes.recording import Recording, load
from tests.conftest import COMMAND

CLIENTS, MESSAGES, GAP = 4, 8, 0.01


@dataclass(frozen=True)
class Site:
    """Where a server runs: its folder and its port."""

    folder: Path
    port: int

    def file(self, name: str, text: str) -> str:
        """A file in the folder, and its path."""
        path = self.folder / name
        path.write_text(self.filled(text))
        return str(path)

    def filled(self, text: str) -> str:
        """A text with the port and the folder in their places."""
        return text.replace("PORT", str(self.port)).replace("FOLDER", str(self.folder))


Command = Callable[[Site], Sequence[str]]
Talk = Callable[[int], None]  # one client's whole conversation with the server on that port


def web(path: str = "/") -> Talk:
    """A client that asks for a page several times, over one connection if the server keeps it open."""

    def talk(port: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20 * PATIENCE)
        with contextlib.closing(connection):
            for _ in range(MESSAGES):
                connection.request("GET", path)
                connection.getresponse().read()
                time.sleep(GAP)

    return talk


def lines(*requests: bytes, greeting: bool = False, messages: int = MESSAGES) -> Talk:
    """A client that sends requests, and waits for an answer to each."""

    def talk(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=20 * PATIENCE) as connection:
            if greeting:
                connection.recv(4096)
            for number in range(messages):
                connection.sendall(requests[min(number, len(requests) - 1)])
                if not connection.recv(65536):
                    return
                time.sleep(GAP)

    return talk


def datagrams(request: bytes) -> Talk:
    """A client that sends datagrams."""

    def talk(port: int) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(5 * PATIENCE)
            for _ in range(MESSAGES):
                sock.sendto(request, ("127.0.0.1", port))
                sock.recv(4096)
                time.sleep(GAP)

    return talk


@dataclass(frozen=True)
class Real:
    """A server. `program` is what must be installed: a program, or a module of Python after "python:"."""

    name: str
    program: str
    package: str
    command: Command
    talk: Talk
    models: tuple[Model, ...]  # by its documentation; several where both are true
    architectures: tuple[Architecture, ...]
    in_ci: bool = False
    udp: bool = False

    @property
    def missing(self) -> str:
        """What to install; "" where it is installed."""
        kind, _, module = self.program.rpartition(":")
        found = importlib.util.find_spec(module) if kind else shutil.which(self.program)
        return "" if found else self.package


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _listens(port: int, udp: bool) -> bool:
    """Is there a socket that listens on that port? (Without a connection, which the server would accept.)"""
    for family in ("udp", "udp6") if udp else ("tcp", "tcp6"):
        table = Path(f"/proc/net/{family}")
        for row in table.read_text().splitlines()[1:] if table.exists() else ():
            fields = row.split()
            if int(fields[1].rpartition(":")[2], 16) == port and fields[3] == ("07" if udp else "0A"):
                return True
    return False


@contextlib.contextmanager
def traced(command: Sequence[str], recording: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The command under `trace`. At the end the program gets SIGTERM; what still runs then, SIGKILL."""
    line = [*COMMAND, "trace", "--save", str(recording), "--out", str(recording.with_suffix(".txt")), "--", *command]
    with (
        recording.with_suffix(".log").open("wb") as log,
        subprocess.Popen(line, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True) as runner,
    ):
        try:
            yield runner
        finally:
            for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGINT):
                if runner.poll() is None:
                    runner.send_signal(signum)
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        runner.wait(10 * PATIENCE)
            if runner.poll() is None:
                runner.kill()


def record(server: Real, folder: Path) -> Recording:
    """Runs the server under the probes with its clients, and returns the recording."""
    folder.mkdir(parents=True, exist_ok=True)
    site = Site(folder, free_port())
    site.file("index.html", "hello\n" * 100)
    path = folder / "run.iolab"
    with traced(server.command(site), path) as runner:
        end = time.monotonic() + 40 * PATIENCE
        while not _listens(site.port, server.udp):
            assert runner.poll() is None and time.monotonic() < end, path.with_suffix(".log").read_text()[-2000:]
            time.sleep(0.05)
        time.sleep(0.3)  # workers that start after the listener
        clients = [threading.Thread(target=server.talk, args=(site.port,)) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
    return load(path)
