"""Wrong for lab processes: each function is a server with processes, and with one fault that a student could make.

`WRONG` has, for each of them, words that the evidence of a failed check must contain. `RIGHT` names servers that are written in
another way than servers/processes.py, and are right: the lab passes on them.
"""

from __future__ import annotations

import contextlib
import fcntl
import multiprocessing
import os
import signal
import socket
import socketserver
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from servers.kit.echo import talk
from servers.kit.process import end_with_parent

WRONG = {
    "waited_for_at_once": "times in wait4",
    "threads_instead": "the server created 0 processes",
    "parent_talks": "the process that accepts read 2 connections",
    "zombies": "stay zombies",
    "forked_beforehand": "3 of these existed before their connection",
    "lock_for_each_message": "times in flock",
}
RIGHT = ("reaps_by_signal", "by_multiprocessing", "of_the_standard_library")


def _fork(listener: socket.socket, connection: socket.socket, parent: int, work: Callable[[socket.socket], None] = talk) -> int:
    """Forks a process that serves the connection. Returns its id to the parent, which closes its own copy."""
    if (child := os.fork()) == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        end_with_parent(parent)
        listener.close()
        work(connection)
        os._exit(0)
    connection.close()
    return child


def waited_for_at_once(listener: socket.socket) -> None:
    """Waits for each process's end before it accepts the next connection."""
    parent = os.getpid()
    while True:
        os.waitpid(_fork(listener, listener.accept()[0], parent), 0)


def threads_instead(listener: socket.socket) -> None:
    """Starts a thread for each connection."""
    while True:
        threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()


def parent_talks(listener: socket.socket) -> None:
    """Serves the first connection in a process of its own, and the others in the process that accepts."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    _fork(listener, listener.accept()[0], os.getpid())
    while True:
        talk(listener.accept()[0])


def zombies(listener: socket.socket) -> None:
    """Never waits for its children, and does not ignore SIGCHLD either."""
    parent = os.getpid()
    while True:
        _fork(listener, listener.accept()[0], parent)


def forked_beforehand(listener: socket.socket) -> None:
    """Forks three processes before the first connection, each of which serves a single connection."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    parent = os.getpid()
    for _ in range(3):
        if os.fork() == 0:
            end_with_parent(parent)
            talk(listener.accept()[0])
            os._exit(0)
    while True:
        signal.pause()


def lock_for_each_message(listener: socket.socket) -> None:
    """Each process holds the lock of all processes (man 2 flock) while it waits for a message and answers it."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    parent = os.getpid()
    with tempfile.NamedTemporaryFile() as file:

        def work(connection: socket.socket) -> None:
            data: bytes | None = None
            with Path(file.name).open() as lock:  # each process needs an open file of its own (man 2 flock)
                while data != b"":
                    fcntl.flock(lock, fcntl.LOCK_EX)
                    data = connection.recv(65536)
                    connection.sendall(data)
                    fcntl.flock(lock, fcntl.LOCK_UN)

        while True:
            _fork(listener, listener.accept()[0], parent, work)


def reaps_by_signal(listener: socket.socket) -> None:
    """Right: a handler of SIGCHLD waits for all children that have ended (UNP 5.10)."""

    def reap(_signal: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass

    signal.signal(signal.SIGCHLD, reap)
    parent = os.getpid()
    while True:
        _fork(listener, listener.accept()[0], parent)


def by_multiprocessing(listener: socket.socket) -> None:
    """Right: the module multiprocessing forks, and waits for ended processes when it starts the next."""
    context = multiprocessing.get_context("fork")
    while True:
        connection, _address = listener.accept()
        context.Process(target=talk, args=(connection,), daemon=True).start()
        connection.close()
        multiprocessing.active_children()


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        """Echoes one connection until it ends."""
        while data := self.request.recv(65536):
            self.request.sendall(data)


def of_the_standard_library(listener: socket.socket) -> None:
    """Right: socketserver's server that forks. It polls for ended children every 50 ms."""
    with socketserver.ForkingTCPServer(listener.getsockname(), _Echo, bind_and_activate=False) as server:
        server.socket.close()
        server.socket = listener
        server.serve_forever(poll_interval=0.05)
