"""The thundering herd: eight processes wait for connections on one port. How many processes does one connection wake?

The processes can wait in five ways:
- In accept: its wait queue entries are exclusive, so the kernel wakes one process.
- In select, or in epoll_wait on an epoll descriptor of each process: the kernel wakes all processes, and one gets the
  connection. Most of the others poll the listener again inside the call, find nothing and sleep on. Some return, call accept
  and get EAGAIN.
- With EPOLLEXCLUSIVE (since Linux 4.5), epoll's entry on the listener's wait queue is exclusive too.
- With SO_REUSEPORT, each process has its own listener.
(man 2 epoll_ctl, man 7 socket; UNP 30.6, "Thundering Herd")
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
    """Runs work(number) in each of WORKERS child processes, which end with this process."""
    parent = os.getpid()
    for number in range(WORKERS):
        if os.fork() == 0:
            end_with_parent(parent)
            work(number)
    while True:
        signal.pause()


def _take(listener: socket.socket) -> None:
    """Serves a connection if this process gets it."""
    try:
        connection, _address = listener.accept()
    except BlockingIOError:
        return  # another process has accepted the connection
    connection.setblocking(True)
    talk(connection)


def in_accept(listener: socket.socket) -> None:
    """All processes sleep in accept."""

    def work(_number: int) -> None:
        while True:
            _take(listener)

    _fork(work)


def in_select(listener: socket.socket) -> None:
    """All processes sleep in select, then call accept."""
    listener.setblocking(False)

    def work(_number: int) -> None:
        while True:
            select.select([listener], [], [])
            _take(listener)

    _fork(work)


def in_epoll(listener: socket.socket, flags: int = 0) -> None:
    """All processes sleep in epoll_wait, each with its own epoll descriptor, then call accept."""
    listener.setblocking(False)

    def work(_number: int) -> None:
        with select.epoll() as epoll:
            epoll.register(listener, select.EPOLLIN | flags)
            while True:
                epoll.poll()
                _take(listener)

    _fork(work)


def exclusive(listener: socket.socket) -> None:
    """As in_epoll, but with an exclusive entry on the listener's wait queue."""
    in_epoll(listener, select.EPOLLEXCLUSIVE)


def reuseport(listener: socket.socket) -> None:
    """All processes sleep in accept, each on its own listener. The first process uses `listener` (made with --reuse-port)."""
    if not listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT):
        raise SystemExit("servers: other listeners must be allowed on the port: start the server with --reuse-port")
    address = listener.getsockname()
    own = [listener] + [socket.create_server(address, reuse_port=True) for _ in range(WORKERS - 1)]

    def work(number: int) -> None:
        while True:
            _take(own[number])

    _fork(work)
