"""POSIX AIO by glibc: errors, a write that finds no room, a request whose socket is shut down under it."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers.kit.posix_aio import Request
from tests.conftest import ROOT

DONE = signal.SIGRTMIN + 3
SIZE = 1 << 20


@pytest.fixture(autouse=True)
def _blocked() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {DONE})
    yield
    while signal.sigtimedwait({DONE}, 0):
        pass
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    here, there = socket.socketpair()
    with here, there:
        yield here, there


def next_descriptor() -> int:
    """The descriptor that the next signal carries."""
    info = signal.sigtimedwait({DONE}, 10)
    assert info, "no signal came"
    return info.si_status


def test_a_read_ends_with_a_signal_that_names_the_descriptor(pair: tuple[socket.socket, socket.socket]) -> None:
    here, there = pair
    request = Request(here.fileno(), DONE)
    request.read()
    assert request.result() is None, "nothing is there yet"
    there.send(b"twelve bytes")
    assert next_descriptor() == here.fileno()
    assert request.result() == 12


def test_a_bad_descriptor_is_an_error_of_the_request() -> None:
    """glibc takes it, and the helper thread finds out."""
    request = Request(9999, DONE)
    request.read()
    assert next_descriptor() == 9999
    with pytest.raises(OSError) as caught:
        request.result()
    assert caught.value.errno == errno.EBADF


def test_a_file_opened_for_reading_only_can_not_be_written() -> None:
    with Path("/dev/null").open() as file:
        request = Request(file.fileno(), DONE)
        request.write(1)
        assert next_descriptor() == file.fileno()
        with pytest.raises(OSError) as caught:
            request.result()
        assert caught.value.errno == errno.EBADF


def test_a_wrong_priority_is_refused_at_once(pair: tuple[socket.socket, socket.socket]) -> None:
    request = Request(pair[0].fileno(), DONE)
    request._block.priority = 1 << 30  # more than AIO_PRIO_DELTA_MAX
    with pytest.raises(OSError) as caught:
        request.read()
    assert caught.value.errno == errno.EINVAL


def test_a_write_that_finds_no_room_goes_on_when_there_is(pair: tuple[socket.socket, socket.socket]) -> None:
    """A megabyte does not fit into a socket: the request ends, once, only after a reader has taken the bytes."""
    here, there = pair
    request = Request(here.fileno(), DONE, size=SIZE)
    request._buffer.raw = data = os.urandom(SIZE)
    request.write(SIZE)
    back = there.recv(1)  # it has begun
    assert request.result() is None and request.writing
    while len(back) < SIZE:
        back += there.recv(SIZE)
    assert next_descriptor() == here.fileno()
    assert request.result() == SIZE
    assert back == data


def test_a_partial_write_goes_on_by_itself(pair: tuple[socket.socket, socket.socket]) -> None:
    """A non-blocking socket takes what fits; the request sends the rest again, until EAGAIN."""
    here, _there = pair
    here.setblocking(False)
    request = Request(here.fileno(), DONE, size=SIZE)
    request.write(SIZE)
    next_descriptor()
    assert request.result() is None, "a part"
    next_descriptor()
    with pytest.raises(BlockingIOError):
        request.result()


def test_a_shut_down_socket_ends_the_read_that_waits_for_it(pair: tuple[socket.socket, socket.socket]) -> None:
    here, _there = pair
    request = Request(here.fileno(), DONE)
    request.read()
    here.shutdown(socket.SHUT_RDWR)
    assert next_descriptor() == here.fileno()
    assert request.result() == 0


def test_a_reset_is_an_error_of_the_request(pair: tuple[socket.socket, socket.socket]) -> None:
    here, there = pair
    there.close()
    request = Request(here.fileno(), DONE)
    request.write(10)
    next_descriptor()
    with pytest.raises(BrokenPipeError):
        request.result()


def test_a_process_ends_with_reads_under_way() -> None:
    """The end of the process does not wait for the helper threads, which sleep in read."""
    script = (
        "import socket, sys; from servers.kit.posix_aio import Request\n"
        "pairs = [socket.socketpair() for _ in range(30)]\n"  # more than glibc's 20 helpers
        f"requests = [Request(here.fileno(), {int(DONE)}) for here, _ in pairs]\n"
        "for one in requests: one.read()\n"
        "assert all(one.result() is None for one in requests)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, timeout=20, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
