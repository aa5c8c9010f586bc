"""An echo server with select: one thread waits for all connections, and names all of them at each call (UNP 6.3).

Start it by python3 select_server.py 8080, and try it by nc 127.0.0.1 8080.
"""

import os
import select
import socket
import sys


def main() -> None:
    """Listens on 127.0.0.1, on the port of the command line or of the variable PORT; 0 is any free port."""
    port = int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PORT", "0"))
    listener = socket.create_server(("127.0.0.1", port), backlog=128)
    print(f"listening on port {listener.getsockname()[1]}", flush=True)
    serve(listener)


def serve(listener: socket.socket) -> None:
    """Serves all connections with one thread, which sleeps in select and in no other call."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}  # by descriptor
    unsent: dict[int, bytes] = {}  # by descriptor: data that found no room in the send buffer
    while True:
        to_read = [listener.fileno(), *(fd for fd in connections if fd not in unsent)]
        # GAP 1: Sleep until a descriptor of `to_read` can be read, or a descriptor of `unsent` can be written. The stub returns
        # at once, and never reports room in a send buffer.
        # CHECKS: asleep, slow_reader, woken, never-spins, needs-no-short-time-out
        readable, writable, _ = select.select(to_read, list(unsent), [])
        # HINT: select has three sets of descriptors: to read, to write, and with exceptions. Then comes the time-out.
        # HINT: Read select(2): which time-out makes select wait without a limit? In Python, omit this argument.
        # HINT: readable, writable, _ = select.select(to_read, list(unsent), [])
        # STUB: readable, writable, _ = select.select(to_read, [], [], 0)
        # END
        for fd in readable + writable:
            if fd == listener.fileno():
                # GAP 2: Accept the connection, make it non-blocking, and put it into `connections`.
                # CHECKS: protocol, slow_reader
                connection, _address = listener.accept()
                connection.setblocking(False)
                connections[connection.fileno()] = connection
                # HINT: The listener is readable: accept does not sleep now.
                # HINT: A connection does not inherit O_NONBLOCK from the listener (accept(2)). In a blocking connection,
                #       send would sleep, and no other client would be served meanwhile.
                # HINT: Three calls: listener.accept(), connection.setblocking(False),
                #       connections[connection.fileno()] = connection
                # STUB: pass
                # END
                continue
            connection = connections[fd]
            try:
                data = unsent.pop(fd, b"") or connection.recv(65536)
                rest = send_what_fits(connection, data)
            except ConnectionError:  # the client has reset the connection
                data = rest = b""
            # GAP 3: If `data` is empty, the connection has ended: take it out of `connections`, and close it.
            # CHECKS: half_close, asleep, serves, closes-ended-connections, never-spins
            if not data:
                connections.pop(fd).close()
                continue
            # HINT: recv returns 0 bytes when the client has sent its FIN. select reports such a connection as readable for
            #       ever.
            # HINT: UNP 5.13 has the same case. The server must close its descriptor; until then the client waits for its end.
            # HINT: if not data: connections.pop(fd).close(), and continue with the next descriptor.
            # STUB: if not data:
            # STUB:     continue
            # END
            # GAP 4: Keep the data that send did not take (`rest`): until it is sent, select must report room in the send
            # buffer, and no new data.
            # CHECKS: slow_reader, huge_message
            if rest:
                unsent[fd] = rest
            # HINT: The stub forgets `rest`. Look at the lines above: from where does the next round take unsent data?
            # HINT: While a descriptor is in `unsent`, it is in the second set of select, and not in the first.
            # HINT: if rest: unsent[fd] = rest
            # END


def send_what_fits(connection: socket.socket, data: bytes) -> bytes:
    """Sends without waiting. Returns the data that found no room in the send buffer."""
    try:
        return data[connection.send(data) :]
    except BlockingIOError:
        return data


if __name__ == "__main__":
    main()
