"""An echo server with non-blocking polling: the thread never sleeps, and tries every socket in turn (UNP 6.2).

Start it by python3 nonblocking_server.py 8080, and try it by nc 127.0.0.1 8080.
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
    """Tries the listener and every connection in turn, for ever. No call sleeps."""
    # GAP 1: Make the listener non-blocking.
    # CHECKS: protocol, never_asleep, model
    listener.setblocking(False)
    # HINT: Sockets block by default: accept sleeps until a client connects, and no connection is served meanwhile.
    # HINT: The flag is O_NONBLOCK (fcntl(2), UNP 16.1). Python's method is setblocking.
    # HINT: listener.setblocking(False)
    # END
    unsent: dict[socket.socket, bytes] = {}  # the connections, each with the data that is not sent yet
    while True:
        # GAP 2: Try to accept one connection. Make it non-blocking, and put it into `unsent`. If no client waits, go on
        # with the connections.
        # CHECKS: protocol, starts
        try:
            connection, _address = listener.accept()
            connection.setblocking(False)
            unsent[connection] = b""
        except BlockingIOError:
            pass
        # HINT: Without a client, accept of a non-blocking listener fails with EAGAIN. Python raises BlockingIOError.
        # HINT: A connection does not inherit O_NONBLOCK from the listener (accept(2)), so it needs its own call of setblocking.
        # HINT: Inside try ... except BlockingIOError: pass: listener.accept(), connection.setblocking(False),
        #       unsent[connection] = b""
        # STUB: connection, _address = listener.accept()
        # STUB: unsent[connection] = b""
        # END
        for connection in list(unsent):
            try:
                data = unsent[connection] or connection.recv(65536)
                unsent[connection] = data
                # GAP 3: Send `data`. Keep the data that send does not take in unsent[connection], for the next round.
                # CHECKS: slow_reader, huge_message
                unsent[connection] = data[connection.send(data) :]
                # HINT: send on a non-blocking socket takes what fits into the send buffer, and returns how many bytes that was.
                # HINT: Read send(2): the return value; UNP 16.2 keeps the rest in a buffer, too.
                # HINT: unsent[connection] = data[connection.send(data) :]
                # STUB: connection.send(data)
                # STUB: unsent[connection] = b""
                # END
                ended = not data
            # GAP 4: A connection without data, or without room in its send buffer, has not ended: catch the exception, and set
            # `ended` to False.
            # CHECKS: protocol, starts
            except BlockingIOError:
                ended = False
            # HINT: Nearly every call of this server finds no data. What does recv do then on a non-blocking socket?
            # HINT: It fails with EAGAIN (recv(2), UNP 16.2). Python raises BlockingIOError.
            # HINT: except BlockingIOError: ended = False
            # END
            except ConnectionError:  # the client has reset the connection
                ended = True
            # GAP 5: If the connection has ended, take it out of `unsent`, and close it.
            # CHECKS: half_close, closes-ended-connections
            if ended:
                del unsent[connection]
                connection.close()
            # HINT: recv returned b"" (the client has sent its FIN), or the client has reset the connection.
            # HINT: Until the server closes its descriptor, the client waits for the end (UNP 5.13).
            # HINT: if ended: del unsent[connection], and connection.close()
            # STUB: pass
            # END


if __name__ == "__main__":
    main()
