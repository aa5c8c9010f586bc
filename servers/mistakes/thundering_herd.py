"""Eight processes wait for connections on one port: how many does one connection wake?

Five ways to wait. In accept: the kernel wakes one sleeper, since accept's queue is exclusive. In select, or in an epoll of
one's own, everybody is woken and one gets the connection; of the others most look again inside the call, find nothing and
sleep on, and some are late enough to return, ask accept and hear EAGAIN. EPOLLEXCLUSIVE makes epoll's place on the listener's
queue exclusive, too (since 4.5); SO_REUSEPORT gives each process a listener of its own (man 2 epoll_ctl, man 7 socket; UNP
30.6, "Thundering Herd").
"""

import os
import select
import signal
import socket
from collections.abc import Callable

from servers.kit.echo import talk
from servers.kit.process import end_with_parent

WORKERS = 8


def _fork(work: Callable[[int], None]) -> None:
    """Runs work(number) in each of the processes, which end with this one."""
    parent = os.getpid()
    for number in range(WORKERS):
        if os.fork() == 0:
            end_with_parent(parent)
            work(number)
    while True:
        signal.pause()


def _take(listener: socket.socket) -> None:
    """Serves a connection if this process is the one that gets it."""
    try:
        connection, _address = listener.accept()
    except BlockingIOError:
        return  # woken for nothing: another one has it
    connection.setblocking(True)
    talk(connection)


def in_accept(listener: socket.socket) -> None:
    """All sleep in accept."""

    def work(_number: int) -> None:
        while True:
            _take(listener)

    _fork(work)


def in_select(listener: socket.socket) -> None:
    """All sleep in select, then ask."""
    listener.setblocking(False)

    def work(_number: int) -> None:
        while True:
            select.select([listener], [], [])
            _take(listener)

    _fork(work)


def in_epoll(listener: socket.socket, flags: int = 0) -> None:
    """All sleep in epoll_wait, each with an epoll of its own, then ask."""
    listener.setblocking(False)

    def work(_number: int) -> None:
        with select.epoll() as epoll:
            epoll.register(listener, select.EPOLLIN | flags)
            while True:
                epoll.poll()
                _take(listener)

    _fork(work)


def exclusive(listener: socket.socket) -> None:
    """As in_epoll, but with an exclusive place on the listener's queue."""
    in_epoll(listener, select.EPOLLEXCLUSIVE)


def reuseport(listener: socket.socket) -> None:
    """All sleep in accept, each on a listener of its own; `listener` (made with --reuse-port) is the first one's."""
    if not listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT):
        raise SystemExit("servers: the first listener must allow others on its port: start it with --reuse-port")
    address = listener.getsockname()
    own = [listener] + [socket.create_server(address, reuse_port=True) for _ in range(WORKERS - 1)]

    def work(number: int) -> None:
        while True:
            _take(own[number])

    _fork(work)
