"""An echo server with edge-triggered epoll: the kernel reports each arrival once (man 7 epoll).

Start it by python3 epoll_edge_server.py 8080, and try it by nc 127.0.0.1 8080.
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
    """Serves all connections with one thread, which reads until EAGAIN: epoll does not report the same data again."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}  # by descriptor
    unsent: dict[int, bytes] = {}  # by descriptor: data that found no room in the send buffer
    epoll = select.epoll()
    # GAP 1: Register the listener, edge-triggered, so that epoll reports new connections.
    # CHECKS: protocol
    epoll.register(listener, select.EPOLLIN | select.EPOLLET)
    # HINT: A registration names the events (here: new data), and has a flag for the way in which epoll reports them.
    # HINT: Read epoll_ctl(2): EPOLLIN and EPOLLET. Python's method is epoll.register.
    # HINT: epoll.register(listener, select.EPOLLIN | select.EPOLLET)
    # END
    while True:
        for fd, _events in epoll.poll():
            if fd == listener.fileno():
                # GAP 2: Accept every connection that waits (accept_one returns None when no more connections wait). Put each
                # into `connections`, and register it edge-triggered, for data and for room in the send buffer.
                # CHECKS: protocol, many_clients, takes_all, harder
                while connection := accept_one(listener):
                    connections[connection.fileno()] = connection
                    epoll.register(connection, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)
                # HINT: Two clients may connect before epoll_wait returns. The kernel reports both with one event.
                # HINT: man 7 epoll, "edge-triggered": use non-blocking descriptors, and wait only after EAGAIN. A connection
                #       that is registered for both directions from the start needs no second epoll_ctl.
                # HINT: while connection := accept_one(listener): put it into connections[connection.fileno()], and call
                #       epoll.register(connection, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)
                # STUB: accept_one(listener)
                # END
                continue
            rest = drain(connections[fd], unsent.pop(fd, b""))
            # GAP 3: If `rest` is None, the connection has ended: take it out of `connections`, and close it. Otherwise keep the
            # rest in `unsent`: the kernel reports when the send buffer has room again.
            # CHECKS: half_close, slow_reader, takes_all, huge_message
            if rest is None:
                connections.pop(fd).close()
            elif rest:
                unsent[fd] = rest
            # HINT: `drain` returns the data that it could not send. The stub forgets this data, and closes nothing.
            # HINT: The next report for the descriptor calls drain with unsent[fd]. Closing a descriptor also removes it from
            #       the epoll instance (man 7 epoll).
            # HINT: if rest is None: connections.pop(fd).close(), elif rest: unsent[fd] = rest
            # STUB: pass
            # END


def accept_one(listener: socket.socket) -> socket.socket | None:
    """Accepts a connection and makes it non-blocking. None if no connection waits."""
    try:
        connection, _address = listener.accept()
    except BlockingIOError:
        return None
    connection.setblocking(False)
    return connection


def drain(connection: socket.socket, data: bytes) -> bytes | None:
    """Echoes until EAGAIN. Returns the data that found no room in the send buffer, and None if the connection has ended."""
    try:
        # GAP 4: Repeat: send `data` until nothing of it is left, then read the next data. The end of the connection (no data)
        # ends the loop with None, and EAGAIN ends it by the exception below. The stub reads once.
        # CHECKS: takes_all, huge_message, slow_reader, harder, leaves-no-data-unread, protocol
        while True:
            while data:
                data = data[connection.send(data) :]
            data = connection.recv(65536)
            if not data:
                return None
        # HINT: Data that stays in the socket is not reported again, so one recv is not enough. How do you know that all data
        #       was read?
        # HINT: man 7 epoll, questions and answers, question 9: read and write until EAGAIN. In Python EAGAIN is
        #       BlockingIOError, and `data` then holds what send did not take.
        # HINT: while True: first while data: data = data[connection.send(data) :], then data = connection.recv(65536).
        # HINT: After recv: if not data: return None
        # STUB: data = data or connection.recv(32)
        # STUB: return data[connection.send(data) :] if data else None
        # END
    except BlockingIOError:
        return data
    except ConnectionError:  # the client has reset the connection
        return None


if __name__ == "__main__":
    main()
