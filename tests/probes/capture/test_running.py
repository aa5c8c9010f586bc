"""A recording that begins in the middle of a process's life, and leaves the process as it was."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import pytest

from probes.capture import running
from probes.errors import WrongUsage
from probes.measure.measure import measure
from probes.measure.result import Result
from probes.measure.sockets import Role

# One thread waits in accept for ever, the main thread waits for a byte, makes 500 calls, says so, and waits again.
PROGRAM = """
import os, socket, sys, threading
listener = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=listener.accept, daemon=True).start()
os.write(1, b"1")
while os.read(0, 1):
    for _ in range(250): os.getppid(); os.getuid()
    threading.Thread(target=os.getgid).start()
    if os.fork() == 0: os._exit(3)
    os.wait()
    os.write(1, b"1")
"""


@contextmanager
def program() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.read(1) and process.stdin
        try:
            yield process
        finally:
            process.stdin.close()
        assert process.wait() == 0, "it ended by itself, as it would have without a recording"


def joined(process: subprocess.Popen[bytes], rounds: int) -> Result:
    from probes.capture.instrument import Instrument

    assert process.stdin and process.stdout
    with Instrument() as instrument:
        assert instrument.adopt(process.pid) == 2
        for _ in range(rounds):
            process.stdin.write(b"x")
            process.stdin.flush()
            assert process.stdout.read(1)
        return measure(instrument.stop())


@pytest.mark.live
@pytest.mark.parametrize("rounds", [0, 3])
def test_what_a_process_does_from_then_on_is_counted(kernel: None, rounds: int) -> None:
    with program() as process:
        result = joined(process, rounds)
        assert process.poll() is None
    assert result.events.sound, result.events
    counts = {row.name: row.count for row in result.rows}
    assert (counts.get("getppid", 0), counts.get("getuid", 0), counts.get("getgid", 0)) == (250 * rounds, 250 * rounds, rounds)
    main = next(thread for thread in result.threads if thread.pid == thread.tid == process.pid)
    children = [thread for thread in result.threads if thread.parent == main.serial]
    assert len(children) == 2 * rounds and len(result.threads) == 2 + 2 * rounds
    assert sum(1 for thread in children if thread.ended_by and thread.ended_by.status == 3) == rounds


@pytest.mark.live
def test_a_thread_that_sleeps_all_the_time_sleeps_in_its_call(kernel: None) -> None:
    with program() as process:
        result = joined(process, 1)
    (accept,) = result.named("accept4")
    assert accept.open and accept.wait == accept.total > 0
    (sleep,) = accept.sleeps
    assert sleep.queue == "accept", sleep.stack
    acceptor = next(thread for thread in result.threads if thread.serial == accept.thread)
    assert acceptor.wait == acceptor.wall and acceptor.user == 0
    (listener,) = result.socket_names
    assert listener.found and listener.role is Role.LISTENING and listener.local and listener.local.host == "127.0.0.1"
    assert [(end.open, end.backlog) for end in result.socket_ends] == [(True, 0)]


@pytest.mark.live
def test_a_thread_may_run_while_it_is_adopted(kernel: None, compiled: Callable[..., object]) -> None:
    """Its first event may be the end of a call whose beginning came before the recording. No event counts as unmatched."""
    from probes.capture.instrument import Instrument

    for _ in range(5):
        with subprocess.Popen([str(compiled("counts")), "1000000000", "1"]) as process:
            try:
                with Instrument() as instrument:
                    assert instrument.adopt(process.pid) == 1
                    before = _worked(process.pid)
                    while _worked(process.pid) == before:
                        assert process.poll() is None
                    result = measure(instrument.stop())
            finally:
                process.kill()
        assert result.events.sound, result.events
        assert {row.name for row in result.rows} == {"getppid"}


def _worked(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def test_a_zombie_is_no_thread_to_follow() -> None:
    with subprocess.Popen(["true"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and its parent has not taken its status
        assert psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE
        assert running.known(process.pid) is None
    ours = running.known(os.getpid())
    assert ours and ours.tid


def test_a_process_that_is_not_there_is_named() -> None:
    with pytest.raises(WrongUsage, match="there is no process 99999999"):
        running.need_process(99999999)
    with pytest.raises(WrongUsage, match="itself"):
        running.need_process(os.getpid())


def test_each_socket_of_a_process_is_given_with_a_descriptor_of_the_same_socket() -> None:
    left, right = socket.socketpair()
    with left, right:
        found = {fd: os.fstat(own).st_ino for pid, fd, own in running.sockets(os.getpid()) if pid == os.getpid()}
        assert {fd: found[fd] for fd in (left.fileno(), right.fileno())} == {
            fd: os.fstat(fd).st_ino for fd in (left.fileno(), right.fileno())
        }
        before = set(os.listdir("/proc/self/fd"))
        assert sum(1 for _ in running.sockets(os.getpid())) >= 2
        assert set(os.listdir("/proc/self/fd")) == before, "each copy is closed"
