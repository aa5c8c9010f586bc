"""Wrong for lab posix_aio: each function is a server on POSIX AIO with one fault that a student could make.

`WRONG` has, for each of them, words that the evidence of a failed check must contain. `RIGHT` names servers that are written in
another way than servers/posix_aio.py, and are right: the lab passes on them.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import socket
import threading
import time

from servers.kit.echo import accept
from servers.kit.echo import talk as blocking_talk
from servers.kit.posix_aio import Request
from servers.kit.signals import block, take
from servers.posix_aio import DONE, go_on
from servers.signal_driven import READY, arm

WRONG = {
    "polls_aio_error": "turns without a sleep and without a result",
    "suspends_for_zero": "a timer ended",
    "suspends_for_1_ms": "a timer ended",
    "reads_after_readiness": "slept on the socket in 0 of these",
    "own_threads": "threads of the program's own made",
    "reads_itself": "the thread that makes the requests read the sockets itself",
    "one_after_the_other": "at most 1 request waited for data at one moment",
    "non_blocking_sockets": "reads of helper threads got EAGAIN",
    "slow_handler": "in clock_nanosleep",
}
RIGHT = ("suspends", "handler")
_libc = ctypes.CDLL(None)


class Server:
    """Connections with a request each. The functions below differ in how they learn of the ends of requests."""

    def __init__(self, listener: socket.socket, blocking: bool = True) -> None:
        self.listener, self.blocking = listener, blocking
        self.open: dict[int, tuple[socket.socket, Request]] = {}

    def accept(self) -> None:
        """Accepts all connections that wait, and requests their data."""
        while connection := accept(self.listener):
            connection.setblocking(self.blocking)
            request = Request(connection.fileno(), DONE)
            self.open[connection.fileno()] = connection, request
            request.read()

    def go_on(self, fd: int) -> None:
        """Starts the next request of a connection if its request has ended."""
        if fd in self.open and not go_on(self.open[fd][1]):
            self.open.pop(fd)[0].close()


def polls_aio_error(listener: socket.socket) -> None:
    """Asks aio_error of each request, again and again: a busy loop without a system call for it."""
    _poll(listener, Server(listener))


def _poll(listener: socket.socket, server: Server) -> None:
    block({READY, DONE})
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
    listener.setblocking(False)
    while True:
        server.accept()
        for fd, (_connection, request) in list(server.open.items()):
            if request.ended():
                server.go_on(fd)


def _suspend(requests: list[Request], seconds: float | None) -> None:
    """aio_suspend: sleeps until one of the requests has ended."""
    blocks = (ctypes.c_void_p * len(requests))(*(request.address for request in requests))
    time_out = None if seconds is None else (ctypes.c_long * 2)(0, int(1e9 * seconds))
    _libc.aio_suspend(blocks, len(requests), time_out)


def _suspend_for(listener: socket.socket, seconds: float | None) -> None:
    """A thread of its own accepts, since AIO has no accept, and announces each connection on a pipe that AIO reads."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {DONE})
    announced, announce = os.pipe()
    accepted: list[socket.socket] = []

    def accept_all() -> None:
        while True:
            accepted.append(listener.accept()[0])
            os.write(announce, b"x")

    threading.Thread(target=accept_all, daemon=True).start()
    server = Server(listener)
    news = Request(announced, DONE)
    news.read()
    while True:
        _suspend([news, *(request for _, request in server.open.values())], seconds)
        if news.ended():
            news.result()
            news.read()
        while accepted:
            connection = accepted.pop()
            request = Request(connection.fileno(), DONE)
            server.open[connection.fileno()] = connection, request
            request.read()
        for fd, (_connection, request) in list(server.open.items()):
            if request.ended():
                server.go_on(fd)


def suspends_for_zero(listener: socket.socket) -> None:
    """Calls aio_suspend with a time-out of 0, again and again."""
    _suspend_for(listener, 0)


def suspends_for_1_ms(listener: socket.socket) -> None:
    """Calls aio_suspend with a time-out of 1 ms, again and again."""
    _suspend_for(listener, 0.001)


def reads_after_readiness(listener: socket.socket) -> None:
    """Waits in select until a socket can be read, and only then requests the read."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {DONE})
    requests: dict[socket.socket, Request] = {}
    while True:
        for ready in select.select([listener, *requests], [], [])[0]:
            if ready is listener:
                connection, _address = listener.accept()
                requests[connection] = Request(connection.fileno(), DONE)
                continue
            request = requests[ready]
            request.read()
            while not request.ended():
                _suspend([request], None)
            if not (size := request.result()):
                requests.pop(ready)
                ready.close()
                continue
            request.write(size)
            while not request.ended():
                _suspend([request], None)
            request.result()


def own_threads(listener: socket.socket) -> None:
    """No AIO: a thread for each connection, and signals for show."""
    block({READY, DONE})
    arm(listener)
    while True:
        while connection := accept(listener):
            connection.setblocking(True)
            threading.Thread(target=blocking_talk, args=[connection], daemon=True).start()
        take({READY, DONE})


def reads_itself(listener: socket.socket) -> None:
    """Takes a signal for each readable socket, and reads the socket itself: signal-driven I/O."""
    from servers.signal_driven import serve

    serve(listener)


def one_after_the_other(listener: socket.socket) -> None:
    """Waits for the end of each request before it makes another: the other connections wait for this one."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {DONE})
    while True:
        connection, _address = listener.accept()
        request = Request(connection.fileno(), DONE)
        request.read()
        going = True
        while going:
            while not request.ended():
                _suspend([request], None)
            going = go_on(request)
        connection.close()


def non_blocking_sockets(listener: socket.socket) -> None:
    """Leaves the sockets non-blocking: each helper gets EAGAIN at once, and the server requests again."""
    block({READY, DONE})
    arm(listener)
    server = Server(listener, blocking=False)
    while True:
        server.accept()
        info = take({READY, DONE})
        if info.si_signo == DONE and info.si_status in server.open:
            connection, request = server.open[info.si_status]
            try:
                size = request.result()
            except BlockingIOError:
                request.read()
                continue
            if not size:
                connection.close()
                del server.open[info.si_status]
            elif request.writing:
                request.read()
            else:
                request.write(size)


def slow_handler(listener: socket.socket) -> None:
    """Sleeps for 3 ms before it goes on with a connection."""
    _by_signal(listener, 0.003)


def _by_signal(listener: socket.socket, pause: float) -> None:
    block({READY, DONE})
    arm(listener)
    server = Server(listener)
    while True:
        server.accept()
        info = take({READY, DONE})
        if info.si_signo == DONE:
            time.sleep(pause)
            server.go_on(info.si_status)


def suspends(listener: socket.socket) -> None:
    """Right: aio_suspend instead of signals."""
    _suspend_for(listener, None)


def handler(listener: socket.socket) -> None:
    """Right: a handler, and sigsuspend, which unblocks the signals and sleeps in one step."""
    block({READY, DONE})
    signal.signal(READY, lambda _number, _frame: None)
    signal.signal(DONE, lambda _number, _frame: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
    arm(listener)
    server = Server(listener)
    nothing_blocked = ctypes.create_string_buffer(128)  # sigset_t
    while True:
        server.accept()
        for fd, (_connection, request) in list(server.open.items()):
            if request.ended():
                server.go_on(fd)
        _libc.sigsuspend(nothing_blocked)
