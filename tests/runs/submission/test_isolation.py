"""Hostile servers reach nothing outside the sandbox; without a namespace, the report says what is not protected."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from runs import sandbox
from runs.sandbox import enter_network
from runs.submission import isolation
from runs.submission.server import Submission
from tests.runs.submission.programs import DAEMON, FOREVER, PORT, SERVE, printed, runs


def test_several_servers_that_start_at_once_ask_once() -> None:
    isolation._asked.cache_clear()
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _number: isolation.missing(), range(8)))
    assert len(found) == 1 and isolation._asked.cache_info().misses == 1


@pytest.mark.live
def test_without_privileges_the_kernel_refuses_all_kinds() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become a user without privileges; run the tests as root")
    fork = os.fork()
    if not fork:
        os.setresuid(65534, 65534, 65534)
        os._exit(0 if sandbox.refused() == [*sandbox.NAMESPACES] else 1)
    assert os.waitpid(fork, 0)[1] == 0


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
@pytest.mark.parametrize("kind", ["pid", "net"])
def test_without_a_namespace_it_says_so_and_leaves_nothing(
    start: Callable[..., Submission], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(isolation, "missing", lambda: (kind,))
    assert any(f"refuses a {kind} namespace" in words for words in isolation.unprotected(strict=True))
    before, name = set(psutil.pids()), f"server_of_{os.getpid()}.py"  # a name that no other test has
    program = "os.chdir('/'); print(os.getpid(), flush=True)\n" + SERVE + DAEMON + FOREVER
    with start(program, name=name) as server:
        assert server.listening().port == PORT
        assert printed(server, "daemon").split()[0] == str(server.number)
        assert (server.number == 300) == (kind != "pid")
        assert server.terminate().left == 1
        init = server.namespace or server._init
    assert not runs(init)
    left = [pid for pid in set(psutil.pids()) - before if name.encode() in _command(pid)]
    assert left == []


def _command(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


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
