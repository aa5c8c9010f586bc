"""An echo server with a process for each connection, by fork (UNP 4.8 and 5.10).

Start it by python3 processes_server.py 8080, and try it by nc 127.0.0.1 8080.
"""

import ctypes
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


def serve(listener: socket.socket) -> None:
    """Accepts for ever. Each connection gets a process of its own, which ends with the connection."""
    # GAP 3: Make sure that no child stays a zombie: set `on_sigchld` as the handler of SIGCHLD.
    # CHECKS: reaped, waits-for-its-children
    signal.signal(signal.SIGCHLD, on_sigchld)
    # HINT: A child that has ended stays in the process table (a zombie) until its parent waits for it. A signal notifies the
    #       parent of the child's end.
    # HINT: UNP 5.9 and 5.10; docs.python.org, module signal: signal.signal.
    # HINT: signal.signal(signal.SIGCHLD, on_sigchld)
    # END
    while True:
        connection, _address = listener.accept()
        # GAP 1: Fork. The child calls end_with_parent, closes the listener, serves the connection with `talk`, and ends. The
        # parent goes on.
        # CHECKS: silent_client, isolated, created_for_it, model, slow_reader, reaped
        if os.fork() == 0:
            end_with_parent()
            listener.close()
            talk(connection)
            os._exit(0)
        # HINT: fork returns twice: 0 in the child, and the child's process id in the parent (fork(2), UNP 4.7).
        # HINT: The child must never come back to this loop, or it would accept connections, too. So it ends with os._exit(0).
        # HINT: if os.fork() == 0: end_with_parent(), listener.close(), talk(connection), os._exit(0)
        # STUB: talk(connection)
        # END
        # GAP 2: Close the parent's own descriptor of the connection.
        # CHECKS: half_close, closes-ended-connections
        connection.close()
        # HINT: After fork, parent and child have the connection open. When does the kernel send the FIN to the client?
        # HINT: The kernel ends a connection when its last descriptor is closed (UNP 4.8, the figures 4.14 to 4.17).
        # HINT: connection.close()
        # END


def on_sigchld(_number: int, _frame: FrameType | None) -> None:
    """Collects all children that have ended, without waiting for others: one signal may stand for several (UNP 5.10)."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass  # there is no other child


def end_with_parent() -> None:
    """Makes the kernel end this process together with its parent (prctl(2), PR_SET_PDEATHSIG, which is 1)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


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
