"""An echo server with processes that are forked at the start, and all sleep in accept (UNP 30.6).

Start it by python3 process_pool_server.py 8080, and try it by nc 127.0.0.1 8080.
"""

import os
import signal
import socket
import sys
from types import FrameType


def main() -> None:
    """Listens on 127.0.0.1, on the port of the command line or of the variable PORT; 0 is any free port."""
    port = int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PORT", "0"))
    listener = socket.create_server(("127.0.0.1", port), backlog=128)
    print(f"listening on port {listener.getsockname()[1]}", flush=True)
    serve(listener)


WORKERS = 4
workers: list[int] = []  # process ids


def serve(listener: socket.socket) -> None:
    """Forks the workers, then sleeps until a signal ends the server."""
    # GAP 1: Fork WORKERS processes, which run `work`. This process puts their process ids into `workers`.
    # CHECKS: ceiling, model, silent_client, nothing_created, slow_reader, protocol
    for _ in range(WORKERS):
        worker = os.fork()
        if worker == 0:
            work(listener)
        workers.append(worker)
    # HINT: All processes are forked before the first connection. They inherit the listener.
    # HINT: fork returns 0 in the child, and the child's process id in the parent (fork(2)). `work` never returns, so a child
    #       does not go on with the loop.
    # HINT: In a loop over range(WORKERS): worker = os.fork(); if worker == 0: work(listener); workers.append(worker)
    # STUB: work(listener)
    # END
    # GAP 2: SIGTERM must end the workers, too: set `on_sigterm` as its handler, in the parent only.
    # CHECKS: ends_on_sigterm
    signal.signal(signal.SIGTERM, on_sigterm)
    # HINT: Without a handler SIGTERM ends this process alone; its children live on, and keep the port.
    # HINT: Read docs.python.org, module signal: signal.signal. UNP 5.8 does the same in C.
    # HINT: signal.signal(signal.SIGTERM, on_sigterm)
    # END
    while True:
        signal.pause()


def on_sigterm(_number: int, _frame: FrameType | None) -> None:
    """Ends the workers, then the server."""
    # GAP 3: Send SIGTERM to every worker, wait for the end of each worker, and end this process.
    # CHECKS: ends_on_sigterm
    for worker in workers:
        os.kill(worker, signal.SIGTERM)
    for worker in workers:
        os.waitpid(worker, 0)
    os._exit(0)
    # HINT: `workers` has the process ids of all workers.
    # HINT: os.kill sends a signal (kill(2)), os.waitpid waits for the end of a child (waitpid(2)).
    # HINT: For each worker: os.kill(worker, signal.SIGTERM). Then for each worker: os.waitpid(worker, 0). At the end:
    #       os._exit(0).
    # STUB: os._exit(0)
    # END


def work(listener: socket.socket) -> None:
    """A worker: serves connections, each to its end."""
    while True:
        # GAP 4: Sleep until a client connects, take its connection, and serve it with `talk`.
        # CHECKS: protocol
        connection, _address = listener.accept()
        talk(connection)
        # HINT: All workers sleep in the same call, on the same listener. The kernel wakes one of them for a connection.
        # HINT: Read accept(2). A worker that serves a connection does not accept: a fifth client waits in the kernel's queue.
        # HINT: connection, _address = listener.accept(), then talk(connection)
        # STUB: signal.pause()
        # END


def talk(connection: socket.socket) -> None:
    """Echoes one connection until the client ends it."""
    with connection:
        try:
            # GAP 5: Echo in a loop: sleep until data arrives, take at most 64 kB, and send all of it back. Leave the loop when
            # the client has ended the connection. The stub serves a single message.
            # CHECKS: protocol, partial_messages, huge_message
            while data := connection.recv(65536):
                connection.sendall(data)
            # HINT: A client may send many messages, and TCP keeps no boundaries between them: read until the stream ends.
            # HINT: recv returns b"" at the end of the stream (recv(2), UNP 5.13).
            # HINT: while data := connection.recv(65536): connection.sendall(data)
            # STUB: connection.sendall(connection.recv(65536))
            # END
        except ConnectionError:
            pass  # the client has reset the connection


if __name__ == "__main__":
    main()
