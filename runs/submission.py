"""A student's server, started in isolation: in namespaces of its own, with limits, and without privileges where asked.

The server may be written in any language. It learns its port from the word {port} of its command line or from the variable
PORT; a server that knows neither is found by the socket that it listens on: in its own network namespace only it can listen.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import ipaddress
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import psutil

from probes.capture.prctl import handed_over
from probes.errors import CannotTrace, LabBroken, WrongUsage
from probes.patience import PATIENCE
from probes.words import visible_lines
from runs import sandbox, seccomp
from runs.sandbox import NAMESPACES, Plan

STARTS_WITHIN = 10.0  # seconds until a server must listen
ENDS_WITHIN = 3.0  # seconds after SIGTERM
_SETTLED = 0.1  # seconds without a new thread
_READ_AT_MOST = 8 << 20  # bytes of the server's output; a server that prints more waits in its own write call
_KEPT = 16 << 10
_OURS = {"IOLAB_CALLED", "IOLAB_STARTED", "IOLAB_PREPARED"}
_LISTEN = "0A"  # TCP_LISTEN in /proc/net/tcp (include/net/tcp_states.h)
_FIRST_USER = 61_184  # the user ids that systemd keeps for services (systemd.exec, DynamicUser): no account has one of them
_LARGEST_COPY, _PAGE = 64 << 20, 4096  # bytes: of a submission's folder, and of a page
LIMITS = {"NOFILE": 4096, "NPROC": 192, "CORE": 0, "FSIZE": 64 << 20, "CPU": 120}
_MEMORY = 1 << 30  # bytes of all processes of a server together
# LeakSanitizer, a part of AddressSanitizer, traces its own process by ptrace at the end, and fails where it may not.
_SANITIZERS = {"LSAN_OPTIONS": "detect_leaks=0"}
_CONTROLLERS = {"pids", "memory", "cpu"}
GROUP_LIMITS = {  # of version 2 and of version 1
    "pids.max": "300",
    "memory.max": str(_MEMORY),
    "memory.limit_in_bytes": str(_MEMORY),
    "memory.swap.max": "0",
    "cpu.weight": "50",  # as half a process, however many there are
    "cpu.shares": "512",
}


@dataclass(frozen=True)
class Launch:
    """A submission: the command, its folder, and how far it is trusted.

    `strict` runs it as a user without any right, on a copy of its folder, with a read-only view of the other files. `hidden`
    are folders and files that it finds empty: other submissions, the rubric.
    """

    command: tuple[str, ...]
    folder: str
    strict: bool = False
    hidden: tuple[str, ...] = ()
    io_uring: bool = False  # may a strict server use it? The kernel's largest interface, which one model needs
    slot: int = 0  # which of the submissions that run at the same time: each has a user id of its own


@dataclass(frozen=True)
class Address:
    """Where the server listens, and whether that is the port that it was given."""

    host: str
    port: int
    expected: bool


@dataclass(frozen=True)
class Ending:
    """How a server ended on SIGTERM: its status (a signal's number negative), after how long, and what it left running."""

    status: int | None  # None: it did not end
    seconds: float
    left: int


class NotListening(Exception):
    """The server never listened; the message says what it did instead."""


@functools.cache
def missing() -> tuple[str, ...]:
    """The kinds of namespaces that this machine refuses, tried one by one in a process of their own."""
    refused = []
    for name in NAMESPACES:
        words = "import sys; sys.path.insert(0, sys.argv[1]); from runs.sandbox import unshare; unshare((sys.argv[2],))"
        tried = subprocess.run(
            [sys.executable, "-I", "-S", "-B", "-c", words, str(Path(__file__).parents[1]), name],
            capture_output=True,
            check=False,
        )
        if tried.returncode:
            refused.append(name)
    return tuple(refused)


_LOST = {
    "mount": "the server can write where its user can, and sees all files that its user may read",
    "uts": "the server could rename the machine if it had the privilege",
    "ipc": "the server shares System V IPC with the machine",
    "pid": "a process that the server starts is found by its parents only, and may send signals to processes of its user",
    "net": "the server is on the machine's own network, and a port may be taken by another program",
}


def unprotected(strict: bool) -> list[str]:
    """What this machine cannot protect, in sentences; for `strict` also what an ordinary check does without."""
    words = [f"this machine refuses a {name} namespace: {_LOST[name]}" for name in missing()]
    if strict and not may_change_user():
        words.append("iolab may not change the user (CAP_SETUID): the server runs as the same user as iolab")
    if strict and (why := seccomp.missing(os.uname().machine)):
        words.append(f"{why}: the server may make every system call that its user may make")
    if strict and not _group_folders():
        words.append(
            "no control group can be made here: iolab checks the memory of a server 20 times a second, and ends a server above"
            f" {_MEMORY >> 20:,} MB; the CPU time of all servers together has no limit"
        )
    return words


_CAP_SETUID = 7  # uapi: capability.h


def may_change_user() -> bool:
    """Does this process have CAP_SETUID? In the container image it has, also where it is not root."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> _CAP_SETUID & 1)
    return False


def _group_folders() -> list[Path]:
    """The control groups below which groups with limits can be made (cgroups(7)): version 2, or three of version 1."""
    found = []
    for mount in Path("/proc/self/mounts").read_text().splitlines():
        _device, place, kind, options, *_ = mount.split()
        limits = kind == "cgroup" and _CONTROLLERS & set(options.split(","))
        if limits or (kind == "cgroup2" and _gives_controllers(Path(place))):
            found.append(Path(place))
    return [folder for folder in found if os.access(folder, os.W_OK)]


def _gives_controllers(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        return set((folder / "cgroup.subtree_control").read_text().split()) >= _CONTROLLERS
    return False


@contextlib.contextmanager
def _groups(name: str) -> Iterator[tuple[str, ...]]:
    """Control groups of this name with limits; removed at the end, when their processes have gone."""
    made = []
    try:
        for parent in _group_folders():
            _sweep(parent)
            folder = parent / name
            with contextlib.suppress(OSError):
                folder.mkdir()
                made.append(folder)
                for file, value in GROUP_LIMITS.items():
                    if (folder / file).exists():
                        (folder / file).write_text(value)
        yield tuple(str(folder / "cgroup.procs") for folder in made)
    finally:
        for folder in made:
            _remove(folder)


def _limit_memory(groups: Sequence[str]) -> bool:
    """Does one of these groups, named by their cgroup.procs, limit the memory of its processes?"""
    files = ("memory.max", "memory.limit_in_bytes")
    return any((Path(group).parent / file).exists() for group in groups for file in files)


def _sweep(parent: Path) -> None:
    """Removes the groups of a runner that was killed: their processes ended with it."""
    for folder in parent.glob("iolab-*-*"):
        pid = folder.name.split("-")[1]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            with contextlib.suppress(OSError):
                folder.rmdir()


def _remove(folder: Path) -> None:
    """A group can be removed when the last of its processes has been reaped: a moment after its end."""
    end = time.monotonic() + 5 * PATIENCE
    while True:
        try:
            folder.rmdir()
            return
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > end:
                return
            time.sleep(0.01)


class Submission:
    """A server that runs. At the end of the `with` block nothing of it is left.

    `number` is the process id of the server in its own pid namespace, by which the probes' result tells servers apart; without
    such a namespace it becomes the id that the machine gave.
    """

    def __init__(self, launch: Launch, number: int, port: int, cookie: int | None = None) -> None:
        self.launch, self.number, self.port = launch, number, port
        self.ended: int | None = None
        self.refused: tuple[str, ...] = ()
        self.stopped = ""  # why iolab ended it
        self.flooded = False
        self._left = self._init = 0
        self._lines = b""
        self._output = bytearray()
        self._stack = contextlib.ExitStack()
        try:
            self._start(cookie)
        except BaseException:
            self.close()
            raise

    def _start(self, cookie: int | None) -> None:
        groups = self._stack.enter_context(_groups(f"iolab-{os.getpid()}-{self.number}")) if self.launch.strict else ()
        self._control, theirs = socket.socketpair()
        self._stack.enter_context(self._control)
        reader, writer = os.pipe()
        invitation = self._stack.enter_context(handed_over(cookie)) if cookie is not None else None
        plan = self._plan(invitation, groups)
        passed = [theirs.fileno(), writer, *([invitation] if invitation is not None else [])]
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", sandbox.__file__, str(theirs.fileno()), str(writer)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=passed,
            start_new_session=True,
        )
        self._stack.callback(self._reap)
        theirs.close()
        os.close(writer)
        self._reader = threading.Thread(target=self._read, args=(reader,), daemon=True)
        self._reader.start()
        self._control.sendall(sandbox.encoded(plan))
        self._heard(20, lambda: self._init)

    def _plan(self, invitation: int | None, groups: tuple[str, ...]) -> Plan:
        launch = self.launch
        environment = {key: value for key, value in os.environ.items() if key not in _OURS} | {"PORT": str(self.port)}
        user = None
        limits = {"CORE": 0, "NPROC": 4096}
        if launch.strict:
            user = _FIRST_USER + launch.slot if may_change_user() else None
            environment = {"PATH": _path_for_others(), "PORT": str(self.port), "HOME": sandbox.WORK, "LANG": "C.UTF-8"}
            environment |= _SANITIZERS
            limits = LIMITS
        elif os.geteuid() == 0 and os.environ.get("SUDO_UID", "").isdigit():
            user = int(os.environ["SUDO_UID"])
        return Plan(
            command=tuple(word.replace("{port}", str(self.port)) for word in launch.command),
            folder=launch.folder,
            environment=environment,
            number=self.number,
            parent=os.getpid(),
            invitation=invitation,
            user=user,
            strict=launch.strict,
            copy=launch.strict and "mount" not in missing(),
            hidden=launch.hidden,
            missing=missing(),
            limits=limits,
            groups=groups,
            # A sanitizer maps 16 TB of shadow memory and uses little of it: RLIMIT_AS and RLIMIT_DATA would count all of it
            # (mm/mmap.c, may_expand_vm). So the memory that is used is watched where no control group limits it.
            memory=0 if not launch.strict or _limit_memory(groups) else _MEMORY,
            filter=_filter(launch),
        )

    # -- what happens ------------------------------------------------------------------------------------------------

    @property
    def namespace(self) -> int:
        """A process in the server's network namespace, by its id here; 0: the server is on the machine's own network."""
        return 0 if "net" in missing() else self._init

    @property
    def alive(self) -> bool:
        """Does the server's first process run?"""
        self._hear(0)
        return self.ended is None

    def ends_within(self, seconds: float) -> bool:
        """Does the server's first process end within that time? A crash takes its time, for a traceback or a core."""
        end = time.monotonic() + seconds * PATIENCE
        while self.alive and time.monotonic() < end:
            self._hear(end - time.monotonic())
        return self.ended is not None

    def _heard(self, seconds: float, what: object) -> None:
        """Waits until `what()` is true. Raises LabBroken if the sandbox fails."""
        end = time.monotonic() + seconds * PATIENCE
        while not what():  # type: ignore[operator]
            if time.monotonic() > end or not self._hear(end - time.monotonic()):
                assert self._process.stderr is not None
                self._process.kill()
                words = self._process.stderr.read().decode(errors="replace").strip().splitlines()
                raise LabBroken("the sandbox of the server failed", words[-1] if words else "is the machine overloaded?")

    def _hear(self, seconds: float) -> bool:
        """Takes the lines of the sandbox that are there, or come within that time. False: it has ended."""
        while select.select([self._control], [], [], max(seconds, 0))[0]:
            try:
                words = self._control.recv(65536)
            except OSError:
                return False
            if not words:
                return False
            *lines, self._lines = (self._lines + words).split(b"\n")
            for line in lines:
                self._take(json.loads(line))
            seconds = 0
            if lines:
                break
        return True

    def _take(self, said: dict[str, object]) -> None:
        if "broken" in said:
            raise CannotTrace(
                f"the server's sandbox can't be made here: {said['broken']}", "invoke doctor names what is missing"
            )
        if "started" in said:
            children = psutil.Process(self._process.pid).children()
            self._init = children[0].pid if children else 0
            self.number = int(str(said["started"]))
            self.refused = tuple(str(words) for words in said.get("refused", ()))  # type: ignore[attr-defined]
        if "memory" in said:
            used = int(str(said["memory"])) >> 20
            self.stopped = f"the server used {used:,} MB of memory, more than {_MEMORY >> 20:,} MB: iolab ended it"
        if "ended" in said:
            self.ended = int(str(said["ended"]))
        if "left" in said:
            self._left = int(str(said["left"])) + 1  # 0: no answer yet

    def _say(self, word: str) -> None:
        with contextlib.suppress(OSError):
            self._control.sendall(word.encode() + b"\n")

    # -- where it listens --------------------------------------------------------------------------------------------

    def listening(self, seconds: float = STARTS_WITHIN) -> Address:
        """Waits until the server listens. Raises NotListening, with what it did instead."""
        end = time.monotonic() + seconds * PATIENCE
        while True:
            if found := self._listeners():
                return self._chosen(found)
            if not self.alive:
                raise NotListening(f"the server {how_ended(self.ended)} before it listened{self._last_words()}")
            if time.monotonic() > end:
                raise NotListening(f"the server listened on no TCP port within {seconds:g} s{self._last_words()}")
            self._hear(0.01)

    def settle(self, seconds: float = 1.0) -> None:
        """Waits until the server starts no more threads and processes for a moment: a pool may be made after the listen."""
        end, before, since = time.monotonic() + seconds, -1, time.monotonic()
        while time.monotonic() < min(end, since + _SETTLED):
            number = self._threads()
            if number != before:
                before, since = number, time.monotonic()
            time.sleep(0.01)

    def _threads(self) -> int:
        number = 0
        with contextlib.suppress(psutil.Error):
            for process in psutil.Process(self._init).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    number += process.num_threads()
        return number

    def _chosen(self, found: Sequence[tuple[str, int]]) -> Address:
        on_port = [place for place in found if place[1] == self.port]
        host, port = (on_port or sorted(found, key=lambda place: place[1]))[0]
        return Address(host, port, bool(on_port))

    def _listeners(self) -> list[tuple[str, int]]:
        """The addresses of the server's listening sockets, as a client of this machine names them."""
        if "net" in missing():
            return self._listeners_of_processes()
        found = []
        for file in ("tcp", "tcp6"):
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{self._init}/net/{file}").read_text().splitlines()[1:]:
                    local, state = line.split()[1], line.split()[3]
                    if state == _LISTEN:
                        found.append(_address(*local.split(":")))
        return found

    def _listeners_of_processes(self) -> list[tuple[str, int]]:
        found = []
        with contextlib.suppress(psutil.Error):
            for process in psutil.Process(self._init).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    found += [
                        (_reachable(connection.laddr.ip), connection.laddr.port)
                        for connection in process.net_connections("tcp")
                        if connection.status == psutil.CONN_LISTEN
                    ]
        return found

    def memory(self) -> int:
        """The memory of the server and of all that it started, bytes, shared memory in parts (PSS)."""
        total = 0
        with contextlib.suppress(psutil.Error):
            for process in psutil.Process(self._init).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    total += int(process.memory_full_info().pss)
        return total

    def cpu_seconds(self) -> float:
        """The CPU time of the server's processes that run."""
        total = 0.0
        with contextlib.suppress(psutil.Error):
            for process in psutil.Process(self._init).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    times = process.cpu_times()
                    total += times.user + times.system
        return total

    # -- its end -----------------------------------------------------------------------------------------------------

    def terminate(self, seconds: float = ENDS_WITHIN) -> Ending:
        """Sends SIGTERM, again while the server runs on: Python may miss a signal between its look and a call that sleeps."""
        begin = time.monotonic()
        end = begin + seconds * PATIENCE
        while self.alive and time.monotonic() < end:
            self._say("SIGTERM")
            self._hear(0.5)
        took = time.monotonic() - begin
        return Ending(self.ended, took, self._left_running())

    def _left_running(self) -> int:
        """How many processes of the server still run. Those that are about to end get a moment."""
        end = time.monotonic() + 0.5 * PATIENCE
        while True:
            self._left = 0
            self._say("left")
            with contextlib.suppress(LabBroken):
                self._heard(5, lambda: self._left)
            left = max(self._left - 1, 0)
            if not left or time.monotonic() > end or self.ended is None:
                return left
            time.sleep(0.02)

    def _read(self, reader: int) -> None:
        """Keeps the first and the last of what the server prints, and stops reading where it prints without end."""
        taken = 0
        with os.fdopen(reader, "rb", buffering=0) as pipe:
            while part := pipe.read(65536):
                taken += len(part)
                self._output += part
                if len(self._output) > 2 * _KEPT:
                    del self._output[_KEPT // 2 : -_KEPT]
                if taken > _READ_AT_MOST:
                    self.flooded = True
                    self._closed.wait()
                    return

    @functools.cached_property
    def _closed(self) -> threading.Event:
        return threading.Event()

    @property
    def output(self) -> str:
        """What the server printed, without control characters; the middle of a long output is missing."""
        return visible_lines(bytes(self._output).decode(errors="replace").strip())

    def _last_words(self) -> str:
        if self.ended is not None:
            self._reader.join(0.5 * PATIENCE)  # until the pipe's end: no process has it open for writing any more
        lines = self.output.splitlines()
        return f"; its last line of output: {lines[-1][:200]}" if lines else "; it printed nothing"

    def _reap(self) -> None:
        """Ends the sandbox: its init ends when its socket closes, and with the init every process of the server."""
        self._control.close()
        try:
            self._process.wait(10 * PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()  # its init has asked to end with it
            self._process.wait()
        self._closed.set()
        if self._process.stderr:
            self._process.stderr.close()

    def close(self) -> None:
        """Ends the server and all that it started."""
        self._stack.close()

    def __enter__(self) -> Submission:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _filter(launch: Launch) -> str:
    """The filter of system calls for a server that nobody has read, in hex; "" for others, and where there are no filters."""
    machine = os.uname().machine
    return seccomp.program(machine, launch.io_uring).hex() if launch.strict and not seccomp.missing(machine) else ""


def _path_for_others() -> str:
    """PATH without the folders that a user without rights can't enter, such as those in root's home."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if folder and _others_may_enter(Path(folder)))


def _others_may_enter(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        return all(place.stat().st_mode & 0o001 for place in (folder.resolve(), *folder.resolve().parents))
    return False


def _address(host: str, port: str) -> tuple[str, int]:
    """An address of /proc/net/tcp: the words of an IPv4 or IPv6 address in host byte order, and the port, in hex."""
    words = b"".join(int(host[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(host), 8))
    return _reachable(str(ipaddress.ip_address(words))), int(port, 16)


def _reachable(host: str) -> str:
    """The address that a client connects to: a listener on any address is reached on loopback."""
    address = ipaddress.ip_address(host)
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if address.version == 4 else "::1"


def how_ended(status: int | None) -> str:
    """The verb of a sentence: "ended with status 1", "was killed by SIGSEGV"."""
    if status is None:
        return "still runs"
    if status >= 0:
        return f"ended with status {status}"
    with contextlib.suppress(ValueError):
        return f"was killed by {signal.Signals(-status).name}"
    return f"was killed by signal {-status}"


def check_command(command: Sequence[str], folder: str) -> None:
    """Raises WrongUsage if there is no such program."""
    if not command:
        raise WrongUsage("no server to start", "give its command line after --: ... -- python3 server.py {port}")
    found = shutil.which(command[0], path=os.environ.get("PATH", os.defpath))
    if found is None and not (Path(folder) / command[0]).exists():
        raise WrongUsage(f"there is no program {command[0]!r}", "give its path, or a name that is on PATH")


def check_folder(folder: str) -> None:
    """Raises WrongUsage if the folder is missing, or too large to be copied."""
    if not Path(folder).is_dir():
        raise WrongUsage(f"there is no folder {folder}", "name the folder of the submission")
    total = 0
    for place, _folders, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(OSError):
                total += -(-(Path(place) / name).lstat().st_size // _PAGE) * _PAGE  # as the file system in memory keeps it
        if total > _LARGEST_COPY:
            raise WrongUsage(
                f"the folder {folder} holds more than {_LARGEST_COPY >> 20} MB", "remove what the server does not need"
            )


def with_slot(launch: Launch, slot: int) -> Launch:
    """The same submission with the user id of another slot."""
    return dataclasses.replace(launch, slot=slot)
