"""A fixed number of threads serves all connections: no client costs a new thread, but the pool has a limit.

A thread serves one connection until the connection ends. So the fifth connection waits in the pool's queue: accepted, but not
served (UNP 30.12).
"""

import socket
from concurrent.futures import ThreadPoolExecutor

from servers.kit.echo import talk

WORKERS = 4


def serve(listener: socket.socket) -> None:
    """Accepts for ever, and gives each connection to the pool."""
    pool = ThreadPoolExecutor(WORKERS)
    while True:
        connection, _address = listener.accept()
        pool.submit(talk, connection)  # returns at once; with all threads busy, the connection waits in the queue
