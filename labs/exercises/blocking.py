"""An echo server with blocking I/O: one client after the other (UNP 6.2 and 1.5).

Start it by python3 blocking_server.py 8080, and try it by nc 127.0.0.1 8080.
"""

import os
import socket
import sys


def main() -> None:
    """Listens on 127.0.0.1, on the port of the command line or of the variable PORT; 0 is any free port."""
    port = int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PORT", "0"))
    listener = socket.create_server(("127.0.0.1", port), backlog=128)
    print(f"listening on port {listener.getsockname()[1]}", flush=True)
    serve(listener)


def serve(listener: socket.socket) -> None:
    """Serves one connection to its end, then the next. The others wait in the kernel."""
    while True:
        # GAP 1: Sleep until a client connects, and take its connection.
        # CHECKS: protocol, starts
        connection, _address = listener.accept()
        # HINT: The listener carries no data. One call takes the next connection from its queue, and sleeps while it is empty.
        # HINT: Read accept(2), or UNP 4.6. Python's method is listener.accept; it returns two values.
        # HINT: connection, _address = listener.accept()
        # STUB: raise NotImplementedError("gap 1: accept a connection")
        # END
        # GAP 2: Serve the connection with `talk`, and close it in every case. If the client resets its connection, go on with
        # the next client.
        # CHECKS: reset, half_close, closes-ended-connections
        with connection:
            try:
                talk(connection)
            except ConnectionError:
                pass
        # HINT: Two things are missing: nothing closes the connection, and a reset (RST) makes recv or send fail.
        # HINT: A call on a connection that was reset fails with ECONNRESET or EPIPE (UNP 5.12 and 5.13). Python raises
        #       ConnectionError for both, and an exception that nothing catches ends the server.
        # HINT: Put `talk` into try ... except ConnectionError: pass, and all of it into a block: with connection: ...
        # STUB: talk(connection)
        # END


def talk(connection: socket.socket) -> None:
    """Echoes one connection until the client ends it."""
    while True:
        # GAP 3: Sleep until data arrives, and take it: at most 64 kB.
        # CHECKS: protocol, sleeps_in_the_read, blocks-in-its-reads
        data = connection.recv(65536)
        # HINT: No other call has to wait for the data first: the read call itself sleeps.
        # HINT: Read recv(2): "If no messages are available at the socket, the receive calls wait for a message to arrive".
        # HINT: data = connection.recv(65536)
        # STUB: data = b"no data"
        # END
        # GAP 4: Return if the client has ended the connection.
        # CHECKS: protocol, half_close, silent_client
        if not data:
            return
        # HINT: After the client's FIN, recv does not sleep any more. What does it return?
        # HINT: recv returns 0 bytes at the end of the stream (UNP 5.13, recv(2)). In Python that is b"".
        # HINT: if not data: return
        # END
        # GAP 5: Send all of `data` back.
        # CHECKS: protocol, huge_message
        connection.sendall(data)
        # HINT: One call of send may take only a part of the data. Python has a method that goes on until all data is sent.
        # HINT: UNP 3.9 has the function writen for this. Python's method is connection.sendall.
        # HINT: connection.sendall(data)
        # END


if __name__ == "__main__":
    main()
