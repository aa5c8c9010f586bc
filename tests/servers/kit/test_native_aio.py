"""Linux native AIO: errors at once and errors as results, a write that finds no room, polls cancelled at close."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import select
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from servers.kit.native_aio import POLL, READ, WRITE, Context

SIZE = 1 << 20


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    here, there = socket.socketpair()
    with here, there:
        yield here, there


@pytest.fixture
def context() -> Iterator[Context]:
    with contextlib.closing(Context(8)) as context:
        yield context


def test_a_poll_completes_once_with_its_mask(context: Context, pair: tuple[socket.socket, socket.socket]) -> None:
    here, there = pair
    context.submit(POLL, here.fileno(), select.POLLIN)
    there.send(b"x")
    ((fd, mask),) = context.completions()
    assert fd == here.fileno() and mask & select.POLLIN
    context.submit(POLL, there.fileno(), select.POLLOUT)
    assert [fd for fd, _ in context.completions()] == [there.fileno()], "here is still readable, and not reported again"


def test_errors_at_once(context: Context, pair: tuple[socket.socket, socket.socket]) -> None:
    fd = pair[0].fileno()
    attempts: list[tuple[Callable[[], object], int]] = [
        (lambda: context.submit(POLL, 9999, select.POLLIN), errno.EBADF),
        (lambda: context.submit(99, fd, 0), errno.EINVAL),
        (lambda: Context(0), errno.EINVAL),
        (lambda: Context(1 << 30), errno.EINVAL),
    ]
    for wrong, number in attempts:
        with pytest.raises(OSError, match="io_") as caught:
            wrong()
        assert caught.value.errno == number


def test_a_bad_address_is_a_result(context: Context, pair: tuple[socket.socket, socket.socket]) -> None:
    """The kernel has begun when it finds out, so it is the request that fails, not io_submit."""
    here, there = pair
    there.send(b"x")
    context.submit(READ, here.fileno(), 1, 8)
    assert context.completions() == [(here.fileno(), -errno.EFAULT)]


def test_a_write_without_room_tells_eagain_where_the_socket_is_non_blocking(
    context: Context, pair: tuple[socket.socket, socket.socket]
) -> None:
    here, there = pair
    here.setblocking(False)
    memory = ctypes.create_string_buffer(os.urandom(SIZE), SIZE)
    context.submit(WRITE, here.fileno(), ctypes.addressof(memory), SIZE)
    ((_, moved),) = context.completions()
    assert 0 < moved < SIZE, "a part"
    context.submit(WRITE, here.fileno(), ctypes.addressof(memory), SIZE)
    assert context.completions() == [(here.fileno(), -errno.EAGAIN)]
    there.setblocking(False)
    back = b""
    with contextlib.suppress(BlockingIOError):
        while piece := there.recv(SIZE):
            back += piece
    assert back == memory.raw[:moved]


def test_a_write_without_room_holds_io_submit_where_it_is_blocking(
    context: Context, pair: tuple[socket.socket, socket.socket]
) -> None:
    """It returns only when the reader has made room: asynchronous in name only."""
    here, there = pair
    memory = ctypes.create_string_buffer(os.urandom(SIZE), SIZE)
    thread = threading.Thread(target=context.submit, args=(WRITE, here.fileno(), ctypes.addressof(memory), SIZE))
    thread.start()
    back = there.recv(1)
    assert thread.is_alive(), "the rest has no room, and the call has not returned"
    while len(back) < SIZE:
        back += there.recv(SIZE)
    thread.join(10)
    assert context.completions() == [(here.fileno(), SIZE)]
    assert back == memory.raw


def test_a_full_context_says_eagain(pair: tuple[socket.socket, socket.socket]) -> None:
    with contextlib.closing(Context(1)) as context:
        count = 0
        with pytest.raises(BlockingIOError):
            while count < 100_000:
                context.submit(POLL, pair[0].fileno(), select.POLLIN)
                count += 1
        assert count >= 1
        pair[1].send(b"x")
        completed = 0
        while completed < count:
            completed += len(context.completions())
        assert completed == count, "each once"


def test_closing_cancels_what_is_under_way_and_gives_the_context_back(pair: tuple[socket.socket, socket.socket]) -> None:
    before = _mapped()
    context = Context(8)
    for _ in range(8):
        context.submit(POLL, pair[0].fileno(), select.POLLIN)
    assert _mapped() == before + 1
    context.close()
    assert _mapped() == before
    with pytest.raises(OSError, match="io_submit") as caught:
        context.submit(POLL, pair[0].fileno(), select.POLLIN)
    assert caught.value.errno == errno.EINVAL


def _mapped() -> int:
    """Every context's ring of events is mapped into its process."""
    return Path("/proc/self/maps").read_text().count("/[aio]")
