"""Wrong for lab native_aio: each function is a server on native AIO with one fault that a student could make.

`WRONG` has, for each of them, words that the evidence of a failed check must contain. `RIGHT` names servers that are written in
another way than servers/native_aio.py, and are right: the lab passes on them.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import socket
import struct
import time
from collections.abc import Callable

from servers.kit.echo import accept, drain, echo
from servers.kit.native_aio import POLL, READ, Context
from servers.kit.system import system_call

WRONG = {
    "zero_time_out": "the wait returned at once with nothing ready",
    "short_time_out": "in io_getevents ended because a time-out expired",
    "blocking_sockets": "in recvfrom, on the socket's queue",
    "blocking_listener": "in accept4, on the queue of accept",
    "slow_handler": "in clock_nanosleep",
    "always_writable": "a signal or a completion came and no data moved",
    "submits_blocking_reads": "in io_submit, on the socket's queue",
    "submits_reads_that_get_eagain": "a signal or a completion came and no data moved",
    "mixed_with_epoll": "by epoll",
    "waits_in_select": "slept 0 times in io_getevents",
    "polls_once": "completed polls had no successor",
}
RIGHT = ("many_at_once", "drains")


class Server:
    """Connections, their unsent data and a context; each function below is one way to use them."""

    def __init__(self, listener: socket.socket, move: Callable[[socket.socket, bytes], bytes | None] = echo) -> None:
        listener.setblocking(False)
        self.listener, self.move = listener, move
        self.context = Context()
        self.open: dict[int, socket.socket] = {}
        self.unsent: dict[int, bytes] = {}
        self.blocking = False
        self.extra = 0  # events that each poll names besides POLLIN
        self.poll(listener.fileno(), select.POLLIN)

    def poll(self, fd: int, mask: int) -> None:
        """Submits a one-shot poll."""
        self.context.submit(POLL, fd, mask)

    def serve(self, fd: int) -> None:
        """Serves the descriptor, and submits its next poll."""
        if fd == self.listener.fileno():
            while connection := accept(self.listener):
                connection.setblocking(self.blocking)
                self.open[connection.fileno()] = connection
                self.poll(connection.fileno(), select.POLLIN | self.extra)
                if self.listener.getblocking():
                    break
            self.poll(fd, select.POLLIN)
            return
        rest = self.move(self.open[fd], self.unsent.pop(fd, b""))
        if rest is None:
            self.open.pop(fd).close()
            return
        if rest:
            self.unsent[fd] = rest
        self.poll(fd, select.POLLOUT if rest else select.POLLIN | self.extra)

    def get(self, seconds: float) -> list[int]:
        """io_getevents with a time-out; the descriptors whose polls have completed."""
        memory = ctypes.create_string_buffer(32 * 64)
        time_out = ctypes.create_string_buffer(struct.pack("<qq", 0, int(1e9 * seconds)), 16)
        identity = self.context._context
        number = system_call("io_getevents", identity, 1, 64, memory, time_out)
        return [struct.unpack_from("<Q", memory, 32 * index)[0] for index in range(number)]

    def run(self) -> None:
        """Serves for ever."""
        while True:
            with contextlib.suppress(InterruptedError):
                for fd, _result in self.context.completions():
                    self.serve(fd)


def zero_time_out(listener: socket.socket) -> None:
    """Gives io_getevents a time-out of 0, and calls it again and again."""
    server = Server(listener)
    while True:
        for fd in server.get(0):
            server.serve(fd)


def short_time_out(listener: socket.socket) -> None:
    """Gives io_getevents a time-out of 1 ms."""
    server = Server(listener)
    while True:
        for fd in server.get(0.001):
            server.serve(fd)


def blocking_sockets(listener: socket.socket) -> None:
    """Leaves the accepted sockets blocking, and reads until EAGAIN, which never comes."""
    server = Server(listener, drain)
    server.blocking = True
    server.run()


def blocking_listener(listener: socket.socket) -> None:
    """Leaves the listener blocking, and accepts until EAGAIN, which never comes."""
    server = Server(listener)
    listener.setblocking(True)
    while True:
        for fd, _result in server.context.completions():
            if fd == listener.fileno():
                for _ in range(2):  # the second accept sleeps until the next client
                    connection = accept(listener)
                    assert connection
                    server.open[connection.fileno()] = connection
                    server.poll(connection.fileno(), select.POLLIN)
                server.poll(fd, select.POLLIN)
            else:
                server.serve(fd)


def slow_handler(listener: socket.socket) -> None:
    """Sleeps for 3 ms before it reads a connection."""

    def slowly(connection: socket.socket, unsent: bytes) -> bytes | None:
        time.sleep(0.003)
        return echo(connection, unsent)

    Server(listener, slowly).run()


def always_writable(listener: socket.socket) -> None:
    """Names POLLOUT in every poll: a socket with room completes it at once."""
    server = Server(listener)
    server.extra = select.POLLOUT
    server.run()


def submits_blocking_reads(listener: socket.socket) -> None:
    """Submits reads of blocking sockets: io_submit itself waits for the data, while all other clients wait."""
    _submit_reads(listener, blocking=True)


def submits_reads_that_get_eagain(listener: socket.socket) -> None:
    """Submits reads of non-blocking sockets, each of which completes with EAGAIN at once, and submits them again."""
    _submit_reads(listener, blocking=False)


def _submit_reads(listener: socket.socket, blocking: bool) -> None:
    server = Server(listener)
    buffers: dict[int, ctypes.Array[ctypes.c_char]] = {}

    def read(fd: int) -> None:
        server.context.submit(READ, fd, ctypes.addressof(buffers[fd]), 65536)

    while True:
        for fd, result in server.context.completions():
            if fd == listener.fileno():
                while connection := accept(listener):
                    connection.setblocking(blocking)
                    server.open[connection.fileno()] = connection
                    buffers[connection.fileno()] = ctypes.create_string_buffer(65536)
                    read(connection.fileno())
                server.poll(fd, select.POLLIN)
            elif result == 0:
                server.open.pop(fd).close()
            else:
                if result > 0:
                    os.write(fd, buffers[fd].raw[:result])
                read(fd)


def mixed_with_epoll(listener: socket.socket) -> None:
    """Waits for connections in epoll and for data in io_getevents, each with a time-out for the sake of the other."""
    server = Server(listener)
    with select.epoll() as epoll:
        epoll.register(listener, select.EPOLLIN)
        while True:
            for fd, _events in epoll.poll(0.002):
                server.serve(fd)
            for fd in server.get(0.002):
                server.serve(fd)


def waits_in_select(listener: socket.socket) -> None:
    """Waits in select, and makes the polls of native AIO for nothing: it fetches their completions without a wait."""
    server = Server(listener)
    while True:
        select.select([listener, *server.open.values()], [], [])
        for fd in server.get(0):
            server.serve(fd)


def polls_once(listener: socket.socket) -> None:
    """Submits one poll for each connection and no other: the kernel reports a connection once."""
    server = Server(listener)
    while True:
        for fd, _result in server.context.completions():
            if fd == listener.fileno():
                server.serve(fd)
            elif echo(server.open[fd], b"") is None:
                server.open.pop(fd).close()


def many_at_once(listener: socket.socket) -> None:
    """Right: serves all completions first, and submits their next polls by one io_submit."""
    server = Server(listener)
    polls: list[tuple[int, int]] = []
    server.poll = lambda fd, mask: polls.append((fd, mask))  # type: ignore[method-assign]
    while True:
        for fd, _result in server.context.completions():
            server.serve(fd)
        blocks = [
            ctypes.create_string_buffer(struct.pack("<QIIHhIQQqQII", fd, 0, 0, POLL, 0, fd, mask, 0, 0, 0, 0, 0), 64)
            for fd, mask in polls
        ]
        pointers = (ctypes.c_void_p * len(blocks))(*map(ctypes.addressof, blocks))
        system_call("io_submit", server.context._context, len(blocks), pointers)
        polls.clear()


def drains(listener: socket.socket) -> None:
    """Right: reads each socket until EAGAIN before its next poll."""
    Server(listener, drain).run()
