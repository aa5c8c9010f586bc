"""The workloads: each has a process under the tool, and a client that no tool follows."""

from __future__ import annotations

import abc
import contextlib
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from probes.errors import LabBroken
from probes.patience import PATIENCE
from runs.bench.programs import Failed, Guard, Program

SECONDS = 0.15  # of work in each run
_START, _WORK = 15, 30  # seconds, at most: until the process serves, and until its client is done
_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))  # nginx and the BCC tools are there
ENVIRONMENT = {"PATH": _PATH, "LC_ALL": "C", "HOME": "/"}


@dataclass(frozen=True)
class Load:
    """What one run did: operations, their time, the typical (median) operation, and the calls that the process counted."""

    operations: int
    wall_ns: int
    typical_ns: float
    calls: int | None = None  # of Workload.counted; None where the program does not count them

    @property
    def per_second(self) -> float:
        """Operations per second."""
        return self.operations / self.wall_ns * 1e9


@dataclass(frozen=True)
class Place:
    """Where a run takes place: its folder, the guard, and the compiled program workload.c ("" without a compiler)."""

    folder: Path
    guard: Guard
    program: str

    def start(self, name: str, command: list[str], env: dict[str, str] | None = None) -> Program:
        """A program in this folder."""
        return Program(self.guard, name, command, self.folder, ENVIRONMENT | (env or {}))

    def run(self, name: str, command: list[str]) -> str:
        """The output of a program that ends by itself. Raises Failed."""
        with self.start(name, command) as program:
            ended = program.wait(_WORK)
            if ended.status:
                raise Failed(f"{name} ended with status {ended.status}: {program.complaint()}")
            return program.output


class Subject(abc.ABC):
    """The process under the tool in one run."""

    command: list[str]

    @abc.abstractmethod
    def ready(self, started: Program) -> int:
        """Waits until the process serves; its process id. `started` is the process itself or the tool that started it."""

    @abc.abstractmethod
    def work(self, share: float) -> Load:
        """Lets the client work. `share` is the expected share of the throughput, for clients that take a number of requests."""

    @abc.abstractmethod
    def end(self) -> None:
        """Asks the process to end."""

    @abc.abstractmethod
    def close(self) -> None:
        """Closes what the runner holds."""


@dataclass(frozen=True)
class Workload(abc.ABC):
    """One workload. `operation` is what is counted; `counted` are the calls that the process counts itself."""

    name: str
    words: str
    operation: str
    counted: frozenset[str] = frozenset()

    @abc.abstractmethod
    def missing(self) -> str:
        """What it needs and this machine lacks, with Debian's package; "" if nothing."""

    @abc.abstractmethod
    def subject(self, place: Place) -> Subject:
        """The process of one run."""


def lacking(programs: dict[str, str]) -> str:
    """The programs of these that are not installed, with their packages. Empty if all are there.

    >>> lacking({"sh": "dash", "no-such-program": "none"})
    'no-such-program is missing: apt-get install none'
    """
    absent = {program: package for program, package in programs.items() if not shutil.which(program, path=_PATH)}
    packages = " ".join(dict.fromkeys(absent.values()))
    verb = "is" if len(absent) == 1 else "are"
    return f"{' and '.join(absent)} {verb} missing: apt-get install {packages}" if absent else ""


def compiled(folder: Path) -> str:
    """The path of workload.c, compiled; "" where gcc is missing. Raises LabBroken if it can't be compiled."""
    if lacking(_GCC):
        return ""
    source, program = Path(__file__).with_name("workload.c"), folder / "workload"
    done = subprocess.run(
        ["gcc", "-O2", str(source), "-o", str(program)], capture_output=True, text=True, timeout=60 * PATIENCE, check=False
    )
    if done.returncode:
        raise LabBroken("gcc can't compile runs/bench/workload.c", done.stderr.strip()[-300:] or "apt-get install libc6-dev")
    return str(program)


_GCC = {"gcc": "gcc libc6-dev"}


def words_of(text: str, count: int, name: str) -> list[float]:
    """The figures in a line of workload.c. Raises Failed if there are fewer."""
    words = text.split()
    if len(words) < count:
        raise Failed(f"{name} ended before it had a result")
    return [float(word) for word in words]


# -- C ----------------------------------------------------------------------------------------------------------------


class InC(Workload):
    """A kind of workload.c."""

    def missing(self) -> str:
        """The compiler."""
        return lacking(_GCC)

    def subject(self, place: Place) -> Subject:
        """`workload serve`."""
        return _Served(self.name, place)


class _Served(Subject):
    def __init__(self, kind: str, place: Place) -> None:
        self._kind, self._place, self._ms = kind, place, str(round(SECONDS * 1000))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._control: socket.socket | None = None
        self._port = ""
        self.command = [place.program, "serve", kind, str(self._listener.getsockname()[1]), self._ms]

    def ready(self, started: Program) -> int:
        deadline = time.monotonic() + _START * PATIENCE
        while not select.select([self._listener], [], [], 0.05)[0]:
            if not started.alive:
                raise Failed(f"{started.name} ended early: {started.complaint()}")
            if time.monotonic() > deadline:
                raise Failed(f"{started.name} did not start the program in {_START * PATIENCE:g} s")
        self._control, _ = self._listener.accept()
        pid, port = self._line(2)
        self._port = f"{port:.0f}"
        return int(pid)

    def work(self, share: float) -> Load:
        assert self._control is not None
        if self._kind == "eagain":
            self._control.sendall(b"g")
            operations, wall, typical, calls = self._line(4)
        else:
            said = self._place.run("the client", [self._place.program, "drive", self._kind, self._port, self._ms])
            operations, wall, typical = words_of(said, 3, "the client")
            (calls,) = self._line(1)
        return Load(int(operations), int(wall), typical, int(calls))

    def _line(self, count: int) -> list[float]:
        assert self._control is not None
        self._control.settimeout(_WORK * PATIENCE)
        said = b""
        try:
            while not said.endswith(b"\n"):
                byte = self._control.recv(1)
                if not byte:
                    break
                said += byte
        except TimeoutError:
            raise Failed(f"the program was silent for {_WORK * PATIENCE:g} s") from None
        return words_of(said.decode(), count, "the program")

    def end(self) -> None:
        self.close()

    def close(self) -> None:
        self._listener.close()
        if self._control is not None:
            self._control.close()


# -- servers of others ------------------------------------------------------------------------------------------------


class _Server(Subject):
    """A server with a port and a file with its process id, which ends on SIGTERM."""

    def __init__(self, place: Place) -> None:
        self._place, self._pid = place, 0
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self._pid_file = place.folder / "server.pid"

    def ready(self, started: Program) -> int:
        deadline = time.monotonic() + _START * PATIENCE
        while not (self._serves() and self._pid_file.exists() and (said := self._pid_file.read_text().strip())):
            if not started.alive:
                raise Failed(f"{started.name} ended early: {started.complaint()}")
            if time.monotonic() > deadline:
                raise Failed(f"{started.name}: the server did not start in {_START * PATIENCE:g} s")
            time.sleep(0.01)
        self._pid = int(said)
        return self._pid

    def _serves(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1):
            return True
        return False

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGTERM)

    def close(self) -> None:
        """Nothing is held: the server's process group is killed by its `Program`."""


def rate(text: str, pattern: str, name: str) -> float:
    r"""Requests per second in the output of a client. Raises Failed if it has none.

    >>> rate("Requests/sec:  1234.50", r"Requests/sec:\s+([0-9.]+)", "wrk")
    1234.5
    """
    found = re.search(pattern, text)
    if not found or not float(found[1]):
        raise Failed(f"{name} printed no result: {' '.join(text.split())[-150:]}")
    return float(found[1])


_CLIENTS = "20"


class _RedisServer(_Server):
    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.command = [
            shutil.which("redis-server") or "redis-server", "--port", str(self._port), "--bind", "127.0.0.1", "--save", "",
            "--dir", str(place.folder), "--pidfile", str(self._pid_file),
        ]  # fmt: skip

    def work(self, share: float) -> Load:
        requests = max(500, round(15_000 * share))
        client = ["redis-benchmark", "-p", str(self._port), "-t", "get", "-c", _CLIENTS, "-n", str(requests), "--csv"]
        per_second = rate(self._place.run("redis-benchmark", client), r'"GET","([0-9.]+)"', "redis-benchmark")
        return Load(requests, round(requests / per_second * 1e9), 1e9 / per_second)


class Redis(Workload):
    """redis-server with redis-benchmark."""

    def missing(self) -> str:
        """Both packages."""
        return lacking({"redis-server": "redis-server", "redis-benchmark": "redis-tools"})

    def subject(self, place: Place) -> Subject:
        """A server without a file of data."""
        return _RedisServer(place)


_NGINX = """\
daemon off;
master_process off;
pid {folder}/server.pid;
error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{port}; root {folder}/site; }}
}}
"""


class _NginxServer(_Server):
    def __init__(self, place: Place) -> None:
        super().__init__(place)
        site = place.folder / "site"
        site.mkdir()
        (site / "index.html").write_text("x" * 1024)
        settings = place.folder / "nginx.conf"
        settings.write_text(_NGINX.format(folder=place.folder, port=self._port))
        nginx = shutil.which("nginx", path=_PATH) or "nginx"
        self.command = [nginx, "-p", str(place.folder), "-c", str(settings)]

    def work(self, share: float) -> Load:
        page = f"http://127.0.0.1:{self._port}/index.html"
        if shutil.which("wrk"):
            said = self._place.run("wrk", ["wrk", "-t1", f"-c{_CLIENTS}", "-d1s", page])
            per_second = rate(said, r"Requests/sec:\s+([0-9.]+)", "wrk")
        else:
            requests = max(500, round(10_000 * share))
            said = self._place.run("ab", ["ab", "-q", "-k", "-c", _CLIENTS, "-n", str(requests), page])
            per_second = rate(said, r"Requests per second:\s+([0-9.]+)", "ab")
        return Load(round(per_second), 10**9, 1e9 / per_second)


class Nginx(Workload):
    """One process of nginx with wrk, or with ab where wrk is missing."""

    def missing(self) -> str:
        """The server and one of the two clients."""
        return lacking({"nginx": "nginx-light"} | ({} if shutil.which("ab") else {"wrk": "wrk"}))

    def subject(self, place: Place) -> Subject:
        """A server with one page of 1 KiB."""
        return _NginxServer(place)


_RECEIVE_SEND = frozenset({"recvfrom", "sendto"})
_EPOLL = frozenset({"epoll_wait", "epoll_pwait"})
WORKLOADS: tuple[Workload, ...] = (
    InC(
        "eagain", "recvfrom on a socket without data (EAGAIN), as fast as one thread calls it", "call", frozenset({"recvfrom"})
    ),
    InC("roundtrip", "64 bytes to a server over TCP and back, one connection", "round trip", _RECEIVE_SEND),
    InC("bulk", "1 MiB to a server over TCP, then an answer of 64 bytes", "transfer", _RECEIVE_SEND),
    InC("epoll", "an epoll server with 1,000 connections, 16 of them active at a time", "message", _RECEIVE_SEND | _EPOLL),
    Redis("redis", f"redis-benchmark: GET from {_CLIENTS} clients", "request"),
    Nginx("nginx", f"a page of 1 KiB from one process of nginx, {_CLIENTS} connections", "request"),
)
