"""A fixed number of threads for all connections: nothing is created for a client, but the pool has a ceiling.

A thread is busy with a connection until that ends, so connection number five waits in the pool's queue, accepted and
unserved, as if there were one thread only (UNP 30.12).
"""

import socket
from concurrent.futures import ThreadPoolExecutor

from servers.kit.echo import talk

WORKERS = 4


def serve(listener: socket.socket) -> None:
    """Accepts for ever and hands each connection to the pool."""
    pool = ThreadPoolExecutor(WORKERS)
    while True:
        connection, _address = listener.accept()
        pool.submit(talk, connection)  # returns at once: who comes too late waits in the queue
