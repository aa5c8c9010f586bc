"""Wrong for lab process_pool: each function is a server with a pool, and with one fault that a student could make.

`WRONG` has, for each of them, words that the evidence of a failed check must contain. `RIGHT` names servers that are written in
another way than servers/process_pool.py, and are right: the lab passes on them.
"""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Callable
from fcntl import LOCK_EX, LOCK_UN, flock
from typing import NoReturn

from servers.kit.echo import talk
from servers.kit.process import end_with_parent
from servers.process_pool import WORKERS

WRONG = {
    "pool_of_one": "at most 1 connection served at the same time",
    "parent_works_too": "5 processes",
    "a_process_for_each": "6 of these after the first",
    "waits_for_the_result": "times in recvfrom",
    "forks_when_needed": "4 of these after the first",
}
RIGHT = ("lock_around_accept", "parent_accepts")


def _forked(workers: int, work: Callable[[], None]) -> None:
    """Forks processes that do this work for ever."""
    parent = os.getpid()
    for _ in range(workers):
        if os.fork() == 0:
            end_with_parent(parent)
            while True:
                work()


def _wait_for_the_end() -> NoReturn:
    while True:
        signal.pause()


def pool_of_one(listener: socket.socket) -> None:
    """A pool with a single process."""
    _forked(1, lambda: talk(listener.accept()[0]))
    _wait_for_the_end()


def parent_works_too(listener: socket.socket) -> None:
    """Accepts in the first process as well, so that there are five."""
    _forked(WORKERS, lambda: talk(listener.accept()[0]))
    while True:
        talk(listener.accept()[0])


def a_process_for_each(listener: socket.socket) -> None:
    """Forks a process for each connection."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    parent = os.getpid()
    while True:
        connection, _address = listener.accept()
        if os.fork() == 0:
            end_with_parent(parent)
            talk(connection)
            os._exit(0)
        connection.close()


def waits_for_the_result(listener: socket.socket) -> None:
    """Accepts in the first process, passes each connection to a worker, and waits until the worker has served it."""
    _distribute(listener, at_once=False)


def parent_accepts(listener: socket.socket) -> None:
    """Right: the first process accepts, and passes each connection to a worker that is free (UNP 30.9)."""
    _distribute(listener, at_once=True)


def _distribute(listener: socket.socket, at_once: bool) -> None:
    ends = [socket.socketpair() for _ in range(WORKERS)]
    parent = os.getpid()
    for _here, there in ends:
        if os.fork() == 0:
            end_with_parent(parent)
            while True:
                _data, descriptors, _flags, _address = socket.recv_fds(there, 1, 1)
                talk(socket.socket(fileno=descriptors[0]))
                there.send(b"x")
    free = [here for here, _there in ends]
    while True:
        connection, _address = listener.accept()
        while not free:
            free = select.select([here for here, _there in ends], [], [])[0]
            for here in free:
                here.recv(1)
        worker = free.pop()
        socket.send_fds(worker, [b"x"], [connection.fileno()])
        connection.close()
        if not at_once:
            worker.recv(1)
            free.append(worker)


def forks_when_needed(listener: socket.socket) -> None:
    """Forks each of the four processes when a connection has come for it."""
    parent = os.getpid()
    for _ in range(WORKERS):
        connection, _address = listener.accept()
        if os.fork() == 0:
            end_with_parent(parent)
            while True:
                talk(connection)
                connection, _address = listener.accept()
        connection.close()
    _wait_for_the_end()


def lock_around_accept(listener: socket.socket) -> None:
    """Right: a process calls accept only while it holds a lock that all share (UNP 30.7)."""
    file = os.memfd_create("lock")

    def work() -> None:
        with open(f"/proc/self/fd/{file}") as lock:  # noqa: PTH123  opened anew, since a lock belongs to an open file
            flock(lock, LOCK_EX)
            connection, _address = listener.accept()
            flock(lock, LOCK_UN)
        talk(connection)

    _forked(WORKERS, work)
    _wait_for_the_end()
