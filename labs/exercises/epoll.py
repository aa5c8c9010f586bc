"""An echo server with level-triggered epoll: one thread waits for all connections at once (man 7 epoll; UNP 6.2).

Start it by python3 epoll_server.py 8080, and try it by nc 127.0.0.1 8080.
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
    """Serves all connections with one thread, which sleeps in epoll_wait and in no other call."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}  # by descriptor
    unsent: dict[int, bytes] = {}  # by descriptor: data that found no room in the send buffer
    epoll = select.epoll()
    # GAP 1: Let the epoll instance report new connections: register the listener, once, before the loop.
    # CHECKS: protocol
    epoll.register(listener, select.EPOLLIN)
    # HINT: epoll reports only descriptors that were registered. A listener with a new connection counts as readable.
    # HINT: Read epoll_ctl(2), EPOLL_CTL_ADD. Python's method is epoll.register (docs.python.org, module select).
    # HINT: epoll.register(listener, select.EPOLLIN)
    # END
    while True:
        # GAP 2: Sleep until a descriptor is ready, however long that takes. The stub returns at once and polls in a loop.
        # CHECKS: no_polling, asleep_in_epoll_wait, one_thread, woken_by_the_callback, never-spins, needs-no-short-time-out
        ready = epoll.poll()
        # HINT: The time-out decides how long epoll_wait sleeps. 0 means: return at once.
        # HINT: Read the argument "timeout" in epoll_wait(2): which value means that the call waits without a limit?
        # HINT: epoll.poll() without an argument has the time-out -1.
        # STUB: ready = epoll.poll(0)
        # END
        for fd, events in ready:
            if fd == listener.fileno():
                # GAP 3: Accept the connection, make it non-blocking, put it into `connections`, and register it.
                # CHECKS: protocol, slow_reader
                connection, _address = listener.accept()
                connection.setblocking(False)
                connections[connection.fileno()] = connection
                epoll.register(connection, select.EPOLLIN)
                # HINT: The new connection needs its own registration: that of the listener does not cover it.
                # HINT: A connection does not inherit O_NONBLOCK from the listener (accept(2)). In a blocking connection,
                #       send would sleep, and no other client would be served meanwhile.
                # HINT: Four calls: listener.accept(), connection.setblocking(False),
                #       connections[connection.fileno()] = connection, epoll.register(connection, select.EPOLLIN)
                # STUB: pass
                # END
                continue
            connection = connections[fd]
            try:
                data = unsent.pop(fd, b"") or connection.recv(65536)
                rest = send_what_fits(connection, data)
            except ConnectionError:  # the client has reset the connection
                data = rest = b""
            # GAP 4: If `data` is empty, the connection has ended. Take it out of epoll and out of `connections`, and close it.
            # CHECKS: half_close, no_polling, one_thread, closes-ended-connections, never-spins
            if not data:
                epoll.unregister(fd)
                connections.pop(fd).close()
                continue
            # HINT: recv returns 0 bytes when the client has sent its FIN. epoll reports such a connection as readable for ever.
            # HINT: UNP 5.13 has the same case. The server must close its descriptor; until then the client waits for its end.
            # HINT: if not data: epoll.unregister(fd), connections.pop(fd).close(), and continue with the next descriptor.
            # STUB: if not data:
            # STUB:     continue
            # END
            # GAP 5: Keep `rest` in `unsent`, and let epoll report room in the send buffer instead of new data. When all data is
            # sent, let epoll report new data again.
            # CHECKS: slow_reader, huge_message
            if rest:
                unsent[fd] = rest
                epoll.modify(fd, select.EPOLLOUT)
            elif events & select.EPOLLOUT:
                epoll.modify(fd, select.EPOLLIN)
            # HINT: The stub forgets the data that send did not take. The lines above already send unsent[fd] before they read
            #       new data.
            # HINT: EPOLLOUT reports room in the send buffer. A socket nearly always has room, so register EPOLLOUT only while
            #       data is unsent. epoll_ctl(2) has EPOLL_CTL_MOD for the change; Python's method is epoll.modify.
            # HINT: If there is a rest: unsent[fd] = rest, and epoll.modify(fd, select.EPOLLOUT).
            # HINT: Otherwise, if `events` has EPOLLOUT, the last rest has just been sent: epoll.modify(fd, select.EPOLLIN).
            # END


def send_what_fits(connection: socket.socket, data: bytes) -> bytes:
    """Sends without waiting. Returns the data that found no room in the send buffer."""
    try:
        return data[connection.send(data) :]
    except BlockingIOError:
        return data


if __name__ == "__main__":
    main()
