"""An echo server with a fixed number of threads, which serve all connections (UNP 30.12).

Start it by python3 thread_pool_server.py 8080, and try it by nc 127.0.0.1 8080.
"""

import os
import queue
import socket
import sys
import threading


def main() -> None:
    """Listens on 127.0.0.1, on the port of the command line or of the variable PORT; 0 is any free port."""
    port = int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PORT", "0"))
    listener = socket.create_server(("127.0.0.1", port), backlog=128)
    print(f"listening on port {listener.getsockname()[1]}", flush=True)
    serve(listener)


WORKERS = 4


def serve(listener: socket.socket) -> None:
    """Accepts for ever, and hands each connection to the workers."""
    waiting: queue.SimpleQueue[socket.socket] = queue.SimpleQueue()
    # GAP 1: Start WORKERS threads, which run `work`, before the first connection.
    # CHECKS: protocol, ceiling, model
    for _ in range(WORKERS):
        threading.Thread(target=work, args=(waiting,), daemon=True).start()
    # HINT: A pool creates its threads once. They sleep until the queue has a connection for them.
    # HINT: Read docs.python.org, module threading, class Thread: target and args. Daemon threads (daemon=True) do not keep the
    #       process alive after Ctrl-C.
    # HINT: In a loop over range(WORKERS): threading.Thread(target=work, args=(waiting,), daemon=True).start()
    # END
    while True:
        connection, _address = listener.accept()
        # GAP 2: Hand the connection to the workers through the queue. The stub creates a thread for it instead.
        # CHECKS: few, ceiling, model
        waiting.put(connection)
        # HINT: A thread for each connection is another model. In a pool, a connection waits while all threads are busy.
        # HINT: Read docs.python.org, module queue, class SimpleQueue: put and get.
        # HINT: waiting.put(connection)
        # STUB: threading.Thread(target=talk, args=(connection,), daemon=True).start()
        # END


def work(waiting: "queue.SimpleQueue[socket.socket]") -> None:
    """A worker: serves connections of the queue, each to its end."""
    # GAP 3: Take a connection from the queue and serve it with `talk`; then take the next connection, for ever.
    # CHECKS: protocol, ceiling, many_clients, silent_client, reset
    while True:
        talk(waiting.get())
    # HINT: The stub's thread ends after its first connection. How many connections can the server serve before all threads have
    #       ended?
    # HINT: SimpleQueue.get sleeps until the queue has an element, and only one thread gets it.
    # HINT: while True: talk(waiting.get())
    # STUB: talk(waiting.get())
    # END


def talk(connection: socket.socket) -> None:
    """Echoes one connection until the client ends it."""
    with connection:
        try:
            # GAP 4: Echo in a loop: sleep until data arrives, take at most 64 kB, and send all of it back. Leave the loop when
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
