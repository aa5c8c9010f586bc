"""An echo server with a thread for each connection: blocking I/O in many threads (UNP 26.4).

Start it by python3 threads_server.py 8080, and try it by nc 127.0.0.1 8080.
"""

import os
import socket
import sys
import threading


def main() -> None:
    """Listens on 127.0.0.1, on the port of the command line or of the variable PORT; 0 is any free port."""
    port = int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PORT", "0"))
    listener = socket.create_server(("127.0.0.1", port), backlog=128)
    print(f"listening on port {listener.getsockname()[1]}", flush=True)
    serve(listener)


def serve(listener: socket.socket) -> None:
    """Accepts for ever. Each connection gets a thread of its own, which ends with the connection."""
    while True:
        # GAP 1: Sleep until a client connects, and take its connection.
        # CHECKS: protocol, starts
        connection, _address = listener.accept()
        # HINT: The listener carries no data. One call takes the next connection from its queue, and sleeps while it is empty.
        # HINT: Read accept(2), or UNP 4.6. Python's method is listener.accept; it returns two values.
        # HINT: connection, _address = listener.accept()
        # STUB: raise NotImplementedError("gap 1: accept a connection")
        # END
        # GAP 2: Let a new thread serve the connection with `talk`, so that this thread accepts the next connection at once.
        # CHECKS: silent_client, isolated, created_for_it, model, slow_reader, many_clients
        threading.Thread(target=talk, args=(connection,), daemon=True).start()
        # HINT: The stub serves the connection in the thread that should accept the next one.
        # HINT: UNP 26.4 creates the thread with pthread_create. In Python: threading.Thread, with a target and its arguments.
        # HINT: threading.Thread(target=talk, args=(connection,), daemon=True), and then its method start(). Daemon threads do
        #       not keep the process alive.
        # STUB: talk(connection)
        # END


def talk(connection: socket.socket) -> None:
    """Echoes one connection until the client ends it."""
    with connection:
        try:
            # GAP 3: Echo in a loop: sleep until data arrives, take at most 64 kB, and send all of it back. Leave the loop when
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
