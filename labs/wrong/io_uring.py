"""Wrong for lab io_uring: each function is a server on io_uring with one fault that a student could make.

`WRONG` has, for each of them, words that the evidence of a failed check must contain. `RIGHT` names servers that are written in
another way than servers/io_uring.py, and are right: the lab passes on them. `CASES` names the case of the lab in
whose place a server stands, where it is not "single".
"""

from __future__ import annotations

import ctypes
import select
import socket
import struct
import time

from servers.io_uring import echo
from servers.kit.io_uring import ACCEPT, ACCEPT_MULTISHOT, RECV, SEND, Completion, Ring
from servers.kit.requirements import missing

__all__ = ["CASES", "RIGHT", "WRONG", "missing"]

WRONG = {
    "enters_without_waiting": "the wait returned at once with nothing ready",
    "peeks_in_memory": "the thread never slept for a completion",
    "short_time_out": "in io_uring_enter ended because a time-out expired",
    "polls_and_receives": "a completion reports only that the socket is ready",
    "waits_in_epoll": "the thread waits in epoll_wait",
    "a_call_for_each_request": "requests had a call of their own, which waits for nothing",
    "slow_handler": "in clock_nanosleep",
    "receives_once": "bytes of 3 clients were never echoed",
    "requests_each_message": "for each connection, 2.",
    "without_iosqe_async": "0 workers",
    "without_sqpoll": "copied by: own thread",
}
RIGHT = ("reads_and_writes", "deferred_task_work", "accepts_many")
CASES = {"requests_each_message": "multishot", "without_iosqe_async": "worker", "without_sqpoll": "SQPOLL"}
_POLL_ADD, _TIMEOUT, _READ, _WRITE = 6, 11, 22, 23  # IORING_OP_*
_SINGLE_ISSUER, _DEFER_TASKRUN = 1 << 12, 1 << 13  # IORING_SETUP_*
_NO_DESCRIPTOR = 1 << 32  # the data of a completion that stands for no descriptor


class _Entering(Ring):
    def wait(self) -> list[Completion]:
        while not self._ended:
            self._enter(0)
            self._take()
        ended, self._ended = self._ended, []
        return ended


def enters_without_waiting(listener: socket.socket) -> None:
    """Calls io_uring_enter with min_complete 0, again and again, until a completion is there."""
    with _Entering() as ring:
        echo(listener, ring, receive_flags=0)


class _Peeking(Ring):
    def wait(self) -> list[Completion]:
        if self._unsubmitted():
            self._enter(0)
        while not self._ended:
            self._take()
        ended, self._ended = self._ended, []
        return ended


def peeks_in_memory(listener: socket.socket) -> None:
    """Looks at the ring in memory, again and again, without a call."""
    with _Peeking() as ring:
        echo(listener, ring, receive_flags=0)


class _Timing(Ring):
    time_out = ctypes.create_string_buffer(struct.pack("<qq", 0, 1_000_000), 16)
    running = False

    def wait(self) -> list[Completion]:
        if not self.running:
            self.request(_TIMEOUT, -1, ctypes.addressof(self.time_out), 1, data=_NO_DESCRIPTOR)
        ended = super().wait()
        self.running = all(done.data != _NO_DESCRIPTOR for done in ended)
        return [done for done in ended if done.data != _NO_DESCRIPTOR]


def short_time_out(listener: socket.socket) -> None:
    """Requests a time-out of 1 ms beside the receives, and a new one whenever it is over."""
    with _Timing() as ring:
        echo(listener, ring, receive_flags=0)


class _Polling(Ring):
    def __init__(self) -> None:
        super().__init__()
        self.buffers: dict[int, int] = {}

    def request(
        self, operation: int, fd: int, address: int, size: int, data: int,
        *, flags: int = 0, priority: int = 0, group: int = 0, message_flags: int = 0,
    ) -> None:  # fmt: skip
        if operation == RECV:
            self.buffers[fd] = address
            super().request(_POLL_ADD, fd, 0, 0, data=data, message_flags=select.POLLIN)
        else:
            super().request(operation, fd, address, size, data)

    def wait(self) -> list[Completion]:
        return [self.receive(done) if done.data in self.buffers else done for done in super().wait()]

    def receive(self, done: Completion) -> Completion:
        """Receives by a call what the poll has reported."""
        libc = ctypes.CDLL(None)
        size = libc.recv(int(done.data), ctypes.c_void_p(self.buffers.pop(done.data)), ctypes.c_size_t(65536), 0)
        return Completion(done.data, size, 0)


def polls_and_receives(listener: socket.socket) -> None:
    """Requests a poll of each socket, and receives by a call: readiness again, as with epoll."""
    with _Polling() as ring:
        echo(listener, ring, receive_flags=0)


class _InEpoll(Ring):
    def __init__(self) -> None:
        super().__init__()
        self.epoll = select.epoll()
        self.epoll.register(self.fd, select.EPOLLIN)

    def wait(self) -> list[Completion]:
        if self._unsubmitted():
            self._enter(0)
        self._take()
        if not self._ended:
            self.epoll.poll()
            self._take()
        ended, self._ended = self._ended, []
        return ended


def waits_in_epoll(listener: socket.socket) -> None:
    """Waits in epoll until the ring has a completion: two mechanisms where one is enough."""
    with _InEpoll() as ring:
        echo(listener, ring, receive_flags=0)


class _Single(Ring):
    def request(
        self, operation: int, fd: int, address: int, size: int, data: int,
        *, flags: int = 0, priority: int = 0, group: int = 0, message_flags: int = 0,
    ) -> None:  # fmt: skip
        super().request(operation, fd, address, size, data, flags=flags)
        self._enter(0)


def a_call_for_each_request(listener: socket.socket) -> None:
    """Calls io_uring_enter for each request, and again to wait."""
    with _Single() as ring:
        echo(listener, ring, receive_flags=0)


class _Slow(Ring):
    def wait(self) -> list[Completion]:
        ended = super().wait()
        time.sleep(0.003)
        return ended


def slow_handler(listener: socket.socket) -> None:
    """Sleeps for 3 ms before it handles completions."""
    with _Slow() as ring:
        echo(listener, ring, receive_flags=0)


class _Once(Ring):
    def __init__(self) -> None:
        super().__init__()
        self.received: set[int] = set()

    def request(
        self, operation: int, fd: int, address: int, size: int, data: int,
        *, flags: int = 0, priority: int = 0, group: int = 0, message_flags: int = 0,
    ) -> None:  # fmt: skip
        if operation != RECV or fd not in self.received:
            super().request(operation, fd, address, size, data, flags=flags)
        if operation == RECV:
            self.received.add(fd)


def receives_once(listener: socket.socket) -> None:
    """Requests one receive for each connection, as if one request were there for all data."""
    with _Once() as ring:
        echo(listener, ring, receive_flags=0)


def requests_each_message(listener: socket.socket) -> None:
    """Requests each receive anew, in the place of the multishot server."""
    with Ring() as ring:
        echo(listener, ring, receive_flags=0)


def without_iosqe_async(listener: socket.socket) -> None:
    """Requests without IOSQE_ASYNC, in the place of the server with workers."""
    with Ring() as ring:
        echo(listener, ring, receive_flags=0)


def without_sqpoll(listener: socket.socket) -> None:
    """Opens the ring without IORING_SETUP_SQPOLL, in the place of the server with it."""
    with Ring() as ring:
        echo(listener, ring, receive_flags=0)


class _Files(Ring):
    def request(
        self, operation: int, fd: int, address: int, size: int, data: int,
        *, flags: int = 0, priority: int = 0, group: int = 0, message_flags: int = 0,
    ) -> None:  # fmt: skip
        operation = {RECV: _READ, SEND: _WRITE}.get(operation, operation)
        super().request(operation, fd, address, size, data, flags=flags)


def reads_and_writes(listener: socket.socket) -> None:
    """Right: requests to read and write, which are there for every kind of file, instead of receive and send."""
    with _Files() as ring:
        echo(listener, ring, receive_flags=0)


def deferred_task_work(listener: socket.socket) -> None:
    """Right: the thread handles completions only inside io_uring_enter (IORING_SETUP_DEFER_TASKRUN, since Linux 6.1)."""
    with Ring(flags=_SINGLE_ISSUER | _DEFER_TASKRUN) as ring:
        echo(listener, ring, receive_flags=0)


class _Accepting(Ring):
    accepting = False

    def request(
        self, operation: int, fd: int, address: int, size: int, data: int,
        *, flags: int = 0, priority: int = 0, group: int = 0, message_flags: int = 0,
    ) -> None:  # fmt: skip
        if operation != ACCEPT:
            super().request(operation, fd, address, size, data, flags=flags)
        elif not self.accepting:
            self.accepting = True
            super().request(operation, fd, 0, 0, data, priority=ACCEPT_MULTISHOT)


def accepts_many(listener: socket.socket) -> None:
    """Right: one request for all connections."""
    with _Accepting() as ring:
        echo(listener, ring, receive_flags=0)
