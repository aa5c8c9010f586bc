"""An echo server with poll: one thread waits for all connections at once (man 2 poll; UNP 6.10).

Start it by python3 poll_server.py 8080, and try it by nc 127.0.0.1 8080.
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
    """Serves all connections with one thread, which sleeps in poll and in no other call."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}  # by descriptor
    unsent: dict[int, bytes] = {}  # by descriptor: data that found no room in the send buffer
    watched = select.poll()  # holds the array of struct pollfd; register and modify change it without a system call
    # GAP 1: Put the listener into the array, so that poll reports new connections.
    # CHECKS: protocol
    watched.register(listener, select.POLLIN)
    # HINT: poll reports only descriptors of its array. A listener with a new connection counts as readable.
    # HINT: Read poll(2), POLLIN. Python's method is register (docs.python.org, module select, polling objects).
    # HINT: watched.register(listener, select.POLLIN)
    # END
    while True:
        # GAP 2: Sleep until a descriptor is ready, however long that takes. The stub returns at once and polls in a loop.
        # CHECKS: asleep, woken, never-spins, needs-no-short-time-out
        ready = watched.poll()
        # HINT: The time-out decides how long poll sleeps. 0 means: return at once.
        # HINT: Read the argument "timeout" in poll(2): which value means that the call waits without a limit?
        # HINT: watched.poll() without an argument has the time-out -1.
        # STUB: ready = watched.poll(0)
        # END
        for fd, _events in ready:
            if fd == listener.fileno():
                # GAP 3: Accept the connection, make it non-blocking, put it into `connections`, and register it in the array.
                # CHECKS: protocol, slow_reader
                connection, _address = listener.accept()
                connection.setblocking(False)
                connections[connection.fileno()] = connection
                watched.register(connection, select.POLLIN)
                # HINT: The listener is readable: accept does not sleep now.
                # HINT: A connection does not inherit O_NONBLOCK from the listener (accept(2)). In a blocking connection,
                #       send would sleep, and no other client would be served meanwhile.
                # HINT: Four calls: listener.accept(), connection.setblocking(False),
                #       connections[connection.fileno()] = connection, watched.register(connection, select.POLLIN)
                # STUB: pass
                # END
                continue
            connection = connections[fd]
            try:
                data = unsent.pop(fd, b"") or connection.recv(65536)
                rest = send_what_fits(connection, data)
            except ConnectionError:  # the client has reset the connection
                data = rest = b""
            # GAP 4: If `data` is empty, the connection has ended. Take it out of the array and of `connections`, and
            # close it.
            # CHECKS: half_close, asleep, serves, closes-ended-connections, never-spins
            if not data:
                watched.unregister(fd)
                connections.pop(fd).close()
                continue
            # HINT: recv returns 0 bytes when the client has sent its FIN. poll reports such a connection as readable for ever.
            # HINT: UNP 5.13 has the same case. The server must close its descriptor; until then the client waits for its end.
            # HINT: if not data: watched.unregister(fd), connections.pop(fd).close(), and continue with the next descriptor.
            # STUB: if not data:
            # STUB:     continue
            # END
            # GAP 5: Keep `rest` in `unsent`, and let poll report room in the send buffer instead of new data. When all data is
            # sent, let poll report new data again.
            # CHECKS: slow_reader, huge_message
            if rest:
                unsent[fd] = rest
            watched.modify(fd, select.POLLOUT if rest else select.POLLIN)
            # HINT: The stub forgets the data that send did not take. The lines above already send unsent[fd] before they read
            #       new data.
            # HINT: POLLOUT reports room in the send buffer. A socket nearly always has room, so register POLLOUT only while
            #       data is unsent (poll(2)). Python's method for the change is watched.modify.
            # HINT: If there is a rest: unsent[fd] = rest, and watched.modify(fd, select.POLLOUT).
            # HINT: Otherwise: watched.modify(fd, select.POLLIN).
            # END


def send_what_fits(connection: socket.socket, data: bytes) -> bytes:
    """Sends without waiting. Returns the data that found no room in the send buffer."""
    try:
        return data[connection.send(data) :]
    except BlockingIOError:
        return data


if __name__ == "__main__":
    main()
