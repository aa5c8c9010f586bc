"""Hostile servers in the sandbox: each gets an answer, and nothing of it is left."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from probes.patience import PATIENCE
from runs import submission
from runs.sandbox import enter_network
from runs.submission import Address, Launch, NotListening, Submission, how_ended
from tests.conftest import ROOT

PORT = 23_456
PYTHON = "/usr/bin/python3"
HEAD = "import os, socket, signal, sys, time\n"
SERVE = "listener = socket.create_server(('127.0.0.1', int(os.environ['PORT'])))\n"
FOREVER = "while True: signal.pause()\n"


@pytest.fixture
def isolated() -> None:
    """The test needs root and every kind of namespace."""
    if os.geteuid() != 0 or submission.missing():
        pytest.skip("only root can make the namespaces; to make it run: sudo, or a container with --privileged")
    if not Path(PYTHON).exists():
        pytest.skip(f"{PYTHON} is missing; to make it run: apt-get install python3")


@pytest.fixture
def start(isolated: None, tmp_path: Path) -> Callable[..., Submission]:
    """Starts a Python program as a submission that nobody has read."""

    def of(program: str, number: int = 300, hidden: tuple[str, ...] = (), strict: bool = True) -> Submission:
        folder = tmp_path / "submission"
        folder.mkdir(exist_ok=True)
        (folder / "server.py").write_text(HEAD + program)
        folder.chmod(0o755)
        return Submission(Launch((PYTHON, "server.py"), str(folder), strict=strict, hidden=hidden), number, PORT)

    return of


def printed(server: Submission, words: str) -> str:
    """What the server printed, once these words are in it."""
    end = time.monotonic() + 10
    while words not in server.output and time.monotonic() < end:
        time.sleep(0.01)
    return server.output


def runs(pid: int) -> bool:
    """Does the process run? A zombie has ended, and waits for its parent only."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def gone(server: Submission) -> bool:
    """Has the init of the server's pid namespace ended, and with it all processes there?"""
    return not runs(server.namespace)


@pytest.mark.live
def test_a_server_listens_and_ends_on_sigterm(start: Callable[..., Submission]) -> None:
    with start(SERVE + "print(os.getpid(), os.getuid(), os.getcwd(), flush=True)\n" + FOREVER) as server:
        assert server.listening() == Address("127.0.0.1", PORT, expected=True)
        assert printed(server, "submission").split() == ["300", "61184", "/tmp/submission"]
        ending = server.terminate()
        assert (ending.status, ending.left) == (-15, 0)
    assert gone(server)


@pytest.mark.live
@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("time.sleep(60)", "listened on no TCP port"),
        ("sys.exit('no module')", "ended with status 1 before it listened; its last line of output: no module"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "was killed by SIGSEGV before it listened"),
        ("socket.create_server(('10.1.2.3', 80))", "Cannot assign requested address"),
    ],
    ids=["never listens", "ends", "crashes", "listens on another address"],
)  # fmt: skip
def test_a_server_that_does_not_listen_is_named(start: Callable[..., Submission], program: str, words: str) -> None:
    with start(program) as server, pytest.raises(NotListening, match=words):
        server.listening(seconds=1.5)
    assert gone(server)


@pytest.mark.live
def test_a_fixed_port_and_any_address_are_found(start: Callable[..., Submission]) -> None:
    with start("listener = socket.create_server(('::', 8080), family=socket.AF_INET6)\n" + FOREVER) as server:
        assert server.listening() == Address("::1", 8080, expected=False)


@pytest.mark.live
def test_a_server_that_ignores_sigterm_is_named_and_killed(start: Callable[..., Submission]) -> None:
    with start("signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SERVE + FOREVER) as server:
        server.listening()
        assert server.terminate(seconds=0.6).status is None
    assert gone(server)


DAEMON = """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print('daemon', flush=True)
        while True: signal.pause()
    os._exit(0)
os.wait()
"""


@pytest.mark.live
def test_a_daemon_in_a_session_of_its_own_is_counted_and_ends(start: Callable[..., Submission]) -> None:
    with start(SERVE + DAEMON + FOREVER) as server:
        server.listening()
        printed(server, "daemon")
        assert server.terminate().left == 1
    assert gone(server)


BOMB = """
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
children = 0
while True:
    try:
        if os.fork() == 0:
            signal.pause()
            os._exit(0)
        children += 1
    except OSError as error:
        print('refused', children, error.strerror, flush=True)
        signal.pause()
"""


@pytest.mark.live
def test_forks_without_end_meet_a_limit(start: Callable[..., Submission]) -> None:
    with start(SERVE + BOMB) as server:
        server.listening()
        refused, children, *_error = printed(server, "refused").split()
        assert refused == "refused" and int(children) < submission.LIMITS["NPROC"]
    assert gone(server)


@pytest.mark.live
def test_it_reaches_no_process_outside(start: Callable[..., Submission]) -> None:
    program = (
        f"""
for number in (0, -1, os.getppid(), {os.getpid()}):
    try:
        if number == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.kill(number, signal.SIGTERM)
        print(number, 'sent')
    except OSError as error:
        print(number, error.strerror)
import ctypes
print('ptrace', ctypes.CDLL(None, use_errno=True).ptrace(16, 1, 0, 0), flush=True)
"""
        + SERVE
        + FOREVER
    )
    with start(program) as server:
        server.listening()
        lines = printed(server, "ptrace").splitlines()
        assert lines[0] == "0 sent"  # its own group only
        assert lines[1] in ("-1 sent", "-1 No such process")
        assert lines[2] == "0 sent" or "not permitted" in lines[2]
        assert lines[3].endswith("No such process")  # it has no name for a process outside
        assert lines[4] == "ptrace -1"  # init is root's


@pytest.mark.live
def test_it_writes_nowhere_but_in_its_own_folder(start: Callable[..., Submission], tmp_path: Path) -> None:
    secret = Path("/var/lib/iolab-test-secret")  # the new /tmp hides what stands below /tmp
    secret.write_text("model = 'epoll'")
    program = (
        f"""
for path in ('{tmp_path}/x', '/var/lib/x', '/etc/x', 'x', '/tmp/iolab-written'):
    try:
        open(path, 'w').close()
        print(path, 'written')
    except OSError as error:
        print(path, error.strerror)
print(len(open('{secret}').read()))
try:
    with open('/tmp/full', 'wb') as file:
        for _ in range(200):
            file.write(bytes(1 << 20))
except OSError as error:
    print(error.strerror)
print('full', flush=True)
"""
        + SERVE
        + FOREVER
    )
    with start("signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n" + program, hidden=(str(secret),)) as server:
        server.listening()
        lines = printed(server, "full").splitlines()
    assert [line.split()[-1] == "written" for line in lines[:5]] == [False, False, False, True, True]
    secret.unlink()
    assert lines[5] == "0"
    assert lines[6] in ("No space left on device", "File too large")
    assert sorted(path.name for path in (tmp_path / "submission").iterdir()) == ["server.py"]
    assert not Path("/tmp/iolab-written").exists()


@pytest.mark.live
def test_a_flood_of_output_and_escapes_reaches_no_terminal(start: Callable[..., Submission]) -> None:
    program = "sys.stdout.buffer.write(b'\\x1b[2J\\xff\\x07start\\n')\nsys.stdout.flush()\n" + SERVE
    program += "while True: sys.stdout.buffer.write(b'flood' * 20000)\n"
    with start(program) as server:
        server.listening()
        end = time.monotonic() + 10
        while not server.flooded and time.monotonic() < end:
            time.sleep(0.01)
        assert server.flooded
        assert len(server.output) < 100_000
        assert server.output.startswith("\\x1b[2J") and "start" in server.output
        assert "\x1b" not in server.output
    assert gone(server)


@pytest.mark.live
def test_its_network_is_its_own(start: Callable[..., Submission]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as outside:
        port = outside.getsockname()[1]
        program = f"""
try:
    socket.create_connection(('127.0.0.1', {port}), 1)
    print('reached', flush=True)
except OSError as error:
    print('refused', flush=True)
"""
        with start(program + SERVE + FOREVER) as server:
            server.listening()
            assert printed(server, "ed") == "refused"
            pid = os.fork()
            if pid == 0:
                try:
                    enter_network(server.namespace)
                    socket.create_connection(("127.0.0.1", PORT), 5).close()
                    os._exit(0)
                except BaseException:
                    os._exit(1)
            assert os.waitpid(pid, 0)[1] == 0


@pytest.mark.live
def test_limits_leave_no_control_group(start: Callable[..., Submission]) -> None:
    with start(SERVE + FOREVER) as server:
        server.listening()
        made = [folder for parent in submission._group_folders() for folder in parent.glob(f"iolab-{os.getpid()}-300")]
        assert len(made) == len(submission._group_folders())
    assert not [folder for folder in made if folder.exists()]


@pytest.mark.live
@pytest.mark.parametrize("kind", ["pid", "net"])
def test_without_a_namespace_it_says_so_and_leaves_nothing(
    start: Callable[..., Submission], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(submission, "missing", lambda: (kind,))
    assert any(f"refuses a {kind} namespace" in words for words in submission.unprotected(strict=True))
    before = set(psutil.pids())
    program = "os.chdir('/'); print(os.getpid(), flush=True)\n" + SERVE + DAEMON + FOREVER
    with start(program) as server:
        assert server.listening().port == PORT
        assert printed(server, "daemon").split()[0] == str(server.number)
        assert (server.number == 300) == (kind != "pid")
        assert server.terminate().left == 1
        init = server.namespace or server._init
    assert not runs(init)
    left = [pid for pid in set(psutil.pids()) - before if b"server.py" in _command(pid)]
    assert left == []


def _command(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


RUNNER = """
import sys, time
sys.path.insert(0, {root!r})
from runs.submission import Launch, Submission
with Submission(Launch(({python!r}, "server.py"), {folder!r}, strict=True), 300, 23456) as server:
    server.listening()
    print(server.namespace, flush=True)
    time.sleep(60)
"""


@pytest.mark.live
def test_nothing_is_left_when_the_runner_is_killed(start: Callable[..., Submission], tmp_path: Path) -> None:
    with start(SERVE + DAEMON + FOREVER):
        words = RUNNER.format(root=str(ROOT), python=PYTHON, folder=str(tmp_path / "submission"))
    with subprocess.Popen([sys.executable, "-c", words], stdout=subprocess.PIPE, text=True) as runner:
        assert runner.stdout
        init = int(runner.stdout.readline())
        assert runs(init)
        runner.kill()
    end = time.monotonic() + 10 * PATIENCE
    while runs(init) and time.monotonic() < end:
        time.sleep(0.01)
    assert not runs(init)
    groups = [Path()]
    while groups and time.monotonic() < end:  # a process that is ending keeps its group from being removed at this start
        with start(SERVE + FOREVER) as server:
            server.listening()
        groups = [folder for parent in submission._group_folders() for folder in parent.glob(f"iolab-{runner.pid}-*")]
    assert groups == []


@pytest.mark.live
@pytest.mark.parametrize("limited", [True, False], ids=["by a group", "by a look"])
def test_memory_that_is_used_is_limited_and_memory_that_is_mapped_is_not(
    start: Callable[..., Submission], monkeypatch: pytest.MonkeyPatch, limited: bool
) -> None:
    """AddressSanitizer maps 16 TB, and uses little of it."""
    if limited and not submission._group_folders():
        pytest.skip("no control group can be made; to make it run: root, with /sys/fs/cgroup writable")
    if not limited:
        monkeypatch.setattr(submission, "_group_folders", list)
        assert any("checks the memory of a server" in words for words in submission.unprotected(strict=True))
    program = "import mmap, threading\nmmap.mmap(-1, 1 << 40, 0x4022); print('mapped', flush=True)\n" + SERVE
    program += (
        "time.sleep(0.2)\nkept = []\nwhile len(kept) < 400: kept.append(b'x' * (16 << 20))\nprint('took all', flush=True)\n"
    )
    with start(program + FOREVER) as server:
        server.listening()
        assert server.ends_within(20)
        assert server.output.splitlines() == ["mapped"] and server.ended == -9
        assert limited or "more than 1,024 MB: iolab ended it" in server.stopped


def test_how_a_server_ended() -> None:
    assert [how_ended(status) for status in (0, -11, -64, None)] == [
        "ended with status 0", "was killed by SIGSEGV", "was killed by SIGRTMAX", "still runs",
    ]  # fmt: skip


def test_an_address_of_the_kernel_is_read() -> None:
    assert submission._address("0100007F", "1F90") == ("127.0.0.1", 8080)
    assert submission._address("00000000", "0050") == ("127.0.0.1", 80)
    assert submission._address("00000000000000000000000001000000", "0050") == ("::1", 80)
    assert submission._address("0" * 32, "0050") == ("::1", 80)


@pytest.mark.live
def test_it_has_no_capability_and_no_way_to_one(start: Callable[..., Submission]) -> None:
    with start("print(open('/proc/self/status').read(), flush=True)\n" + SERVE + FOREVER) as server:
        server.listening()
        status = dict(
            line.split(":\\t" if ":\\t" in line else None, 1) for line in printed(server, "nonvoluntary").splitlines() if line
        )
    sets = {name.rstrip(":"): value.strip() for name, value in status.items()}
    assert {sets[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
    assert sets["NoNewPrivs"] == "1"
