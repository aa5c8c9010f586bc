"""Wrong for lab threads: each function is a server with threads, and with one fault that a student could make.

`WRONG` has, for each of them, words that the evidence of a failed check must contain. `RIGHT` names servers that are written in
another way than servers/threads.py, and are right: the lab passes on them.
"""

from __future__ import annotations

import queue
import select
import socket
import socketserver
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from servers.kit.echo import talk

WRONG = {
    "joined_at_once": "times in futex",
    "one_lock": "times in futex",
    "lock_for_each_message": "slept for a lock",
    "no_thread": "the server created 0 threads",
    "pool": "3 of these existed before their connection",
    "executor": "3 stayed after it",
    "thread_for_each_message": "threads for 3 connections",
    "select_before_each_read": "of pselect6",
    "time_outs": "other calls to wait",
    "polling": "of clock_nanosleep",
}
RIGHT = ("of_the_standard_library", "thread_of_its_own_class")


def _for_each(listener: socket.socket, work: Callable[[socket.socket], None]) -> None:
    """Accepts for ever, with a thread for each connection."""
    while True:
        connection, _address = listener.accept()
        threading.Thread(target=work, args=(connection,), daemon=True).start()


def joined_at_once(listener: socket.socket) -> None:
    """Waits for each thread's end before it accepts the next connection."""
    while True:
        connection, _address = listener.accept()
        thread = threading.Thread(target=talk, args=(connection,), daemon=True)
        thread.start()
        thread.join()


def one_lock(listener: socket.socket) -> None:
    """Each thread holds the lock of all threads while it serves its connection."""
    lock = threading.Lock()

    def work(connection: socket.socket) -> None:
        with lock:
            talk(connection)

    _for_each(listener, work)


class _Turns:
    """A lock that its waiters get in the order in which they asked for it. With threading.Lock, a thread that releases the lock
    and takes it again at once may get it before a waiter has a CPU.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._asked = self._released = 0

    def __enter__(self) -> None:
        with self._changed:
            turn, self._asked = self._asked, self._asked + 1
            self._changed.wait_for(lambda: turn == self._released)

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._released += 1
            self._changed.notify_all()


def lock_for_each_message(listener: socket.socket) -> None:
    """Each thread holds the lock of all threads while it waits for a message and answers it."""
    lock = _Turns()

    def work(connection: socket.socket) -> None:
        data: bytes | None = None
        with connection:
            while data != b"":
                with lock:
                    data = connection.recv(65536)
                    connection.sendall(data)

    _for_each(listener, work)


def no_thread(listener: socket.socket) -> None:
    """Serves each connection in the thread that accepts."""
    while True:
        talk(listener.accept()[0])


def pool(listener: socket.socket) -> None:
    """Starts three threads beforehand, which take the connections from a queue."""
    accepted: queue.SimpleQueue[socket.socket] = queue.SimpleQueue()

    def work() -> None:
        while True:
            talk(accepted.get())

    for _ in range(3):
        threading.Thread(target=work, daemon=True).start()
    while True:
        accepted.put(listener.accept()[0])


def executor(listener: socket.socket) -> None:
    """Lets an executor start its threads when they are needed; they stay for the next connection."""
    workers = ThreadPoolExecutor(100)
    while True:
        workers.submit(talk, listener.accept()[0])


def thread_for_each_message(listener: socket.socket) -> None:
    """Starts a further thread for each message, which answers it."""

    def work(connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(65536):
                threading.Thread(target=connection.sendall, args=(data,), daemon=True).start()

    _for_each(listener, work)


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        """Echoes one connection until it ends."""
        while data := self.request.recv(65536):
            self.request.sendall(data)


def of_the_standard_library(listener: socket.socket) -> None:
    """Right: socketserver's server with threads. Its first thread waits for the listener in poll."""
    with socketserver.ThreadingTCPServer(listener.getsockname(), _Echo, bind_and_activate=False) as server:
        server.socket.close()
        server.socket = listener
        server.daemon_threads = True
        server.serve_forever()


class _Talk(threading.Thread):
    def __init__(self, connection: socket.socket) -> None:
        super().__init__(daemon=True)
        self._connection = connection

    def run(self) -> None:
        """Reads the connection as a file, part by part."""
        with self._connection, self._connection.makefile("rwb", buffering=0) as stream:
            while data := stream.read(4096):
                stream.write(data)


def thread_of_its_own_class(listener: socket.socket) -> None:
    """Right: a class of threads, each with a file object for its connection."""
    while True:
        _Talk(listener.accept()[0]).start()


def select_before_each_read(listener: socket.socket) -> None:
    """Each thread waits in select for its single connection, and reads then: two calls where one is enough."""

    def work(connection: socket.socket) -> None:
        with connection:
            while select.select([connection], [], []) and (data := connection.recv(65536)):
                connection.sendall(data)

    _for_each(listener, work)


def time_outs(listener: socket.socket) -> None:
    """Each connection has a time-out of 2 ms, after which its thread tries again: Python polls the descriptor in between."""

    def work(connection: socket.socket) -> None:
        connection.settimeout(0.002)
        with connection:
            while True:
                try:
                    data = connection.recv(65536)
                except TimeoutError:
                    continue
                if not data:
                    return
                connection.sendall(data)

    _for_each(listener, work)


def polling(listener: socket.socket) -> None:
    """Each thread polls its connection, with a pause of 1 ms after each try."""

    def work(connection: socket.socket) -> None:
        connection.setblocking(False)
        with connection:
            while True:
                try:
                    data = connection.recv(65536)
                except BlockingIOError:
                    time.sleep(0.001)
                    continue
                if not data:
                    return
                connection.sendall(data)

    _for_each(listener, work)
