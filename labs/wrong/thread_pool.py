"""Wrong for lab thread_pool: each function is a server with a pool, and with one fault that a student could make.

`WRONG` has, for each of them, words that the evidence of a failed check must contain. `RIGHT` names servers that are written in
another way than servers/thread_pool.py, and are right: the lab passes on them.
"""

from __future__ import annotations

import queue
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

from servers.kit.echo import talk
from servers.thread_pool import WORKERS

WRONG = {
    "pool_of_one": "at most 1 connection served at the same time",
    "waits_for_the_result": "times in futex",
    "a_pool_for_each": "the server created 6 threads",
    "unbounded": "the server created 6 threads",
    "no_pool": "the server created 0 threads",
}
RIGHT = ("queue_and_workers", "each_worker_accepts")


def pool_of_one(listener: socket.socket) -> None:
    """A pool with a single thread."""
    pool = ThreadPoolExecutor(1)
    while True:
        pool.submit(talk, listener.accept()[0])


def waits_for_the_result(listener: socket.socket) -> None:
    """Waits until the pool has served a connection before it accepts the next."""
    pool = ThreadPoolExecutor(WORKERS)
    while True:
        pool.submit(talk, listener.accept()[0]).result()


def a_pool_for_each(listener: socket.socket) -> None:
    """Makes a new pool for each connection."""
    pools = []
    while True:
        connection, _address = listener.accept()
        pools.append(ThreadPoolExecutor(WORKERS))
        pools[-1].submit(talk, connection)


def unbounded(listener: socket.socket) -> None:
    """Starts a thread for each connection."""
    while True:
        threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()


def no_pool(listener: socket.socket) -> None:
    """Serves each connection in the thread that accepts."""
    while True:
        talk(listener.accept()[0])


def queue_and_workers(listener: socket.socket) -> None:
    """Right: a queue of connections, and four threads that were started beforehand (UNP 30.12)."""
    accepted: queue.SimpleQueue[socket.socket] = queue.SimpleQueue()

    def work() -> None:
        while True:
            talk(accepted.get())

    for _ in range(WORKERS):
        threading.Thread(target=work, daemon=True).start()
    while True:
        accepted.put(listener.accept()[0])


def each_worker_accepts(listener: socket.socket) -> None:
    """Right: four threads that all call accept themselves (UNP 30.11)."""

    def work() -> None:
        while True:
            talk(listener.accept()[0])

    for _ in range(WORKERS - 1):
        threading.Thread(target=work, daemon=True).start()
    work()
