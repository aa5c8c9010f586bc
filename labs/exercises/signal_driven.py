"""An echo server with signal-driven I/O: the kernel queues a signal for each event of a socket (UNP 25; fcntl(2)).

Start it by python3 signal_driven_server.py 8080, and try it by nc 127.0.0.1 8080.
"""

import fcntl
import os
import signal
import socket
import sys


def main() -> None:
    """Listens on 127.0.0.1, on the port of the command line or of the variable PORT; 0 is any free port."""
    port = int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PORT", "0"))
    listener = socket.create_server(("127.0.0.1", port), backlog=128)
    print(f"listening on port {listener.getsockname()[1]}", flush=True)
    serve(listener)


READY = signal.SIGRTMIN + 1  # a real-time signal: each event is queued, and carries its descriptor
LOST = signal.SIGIO  # the kernel sends SIGIO instead when the queue of signals is full


def serve(listener: socket.socket) -> None:
    """Sleeps until a signal reports a descriptor, and serves this descriptor until EAGAIN."""
    # GAP 1: Block the signals READY and LOST, so that they stay pending instead of ending the process.
    # CHECKS: protocol, starts, dies-of-no-signal
    signal.pthread_sigmask(signal.SIG_BLOCK, {READY, LOST})
    # HINT: The default action of a real-time signal ends the process. A blocked signal stays pending until a call takes it.
    # HINT: Read sigprocmask(2) and sigwaitinfo(2). Python's function is signal.pthread_sigmask.
    # HINT: signal.pthread_sigmask(signal.SIG_BLOCK, {READY, LOST})
    # END
    arm(listener)
    connections: dict[int, socket.socket] = {}  # by descriptor
    unsent: dict[int, bytes] = {}  # by descriptor: data that found no room in the send buffer
    reported = [listener.fileno()]  # no signal reports a client that came before arm: try accept once
    while True:
        for fd in reported:
            if fd == listener.fileno():
                # GAP 2: Accept every connection that waits (accept_one returns None when no more connections wait). Arm each,
                # put it into `connections`, and append its descriptor to `reported`.
                # CHECKS: protocol, armed, many_clients, notified_by_signal
                while connection := accept_one(listener):
                    arm(connection)
                    connections[connection.fileno()] = connection
                    reported.append(connection.fileno())
                # HINT: A connection inherits neither the owner nor O_ASYNC from the listener.
                # HINT: Data may arrive between accept and arm, and no signal reports it. So the server must try to read once:
                #       the loop also serves the descriptors that you append to `reported`.
                # HINT: while connection := accept_one(listener): arm(connection),
                #       connections[connection.fileno()] = connection, reported.append(connection.fileno())
                # STUB: accept_one(listener)
                # END
            elif fd in connections:
                rest = drain(connections[fd], unsent.pop(fd, b""))
                # GAP 3: If `rest` is None, the connection has ended: take it out of `connections`, and close it. Otherwise keep
                # the rest in `unsent`: a signal reports when the send buffer has room again.
                # CHECKS: half_close, slow_reader, closes-ended-connections, huge_message
                if rest is None:
                    connections.pop(fd).close()
                elif rest:
                    unsent[fd] = rest
                # HINT: `drain` returns the data that it could not send. The stub forgets this data, and closes nothing.
                # HINT: The next signal for the descriptor calls drain with unsent[fd].
                # HINT: if rest is None: connections.pop(fd).close(), elif rest: unsent[fd] = rest
                # STUB: pass
                # END
        # GAP 4: Sleep until READY or LOST is pending, and take it. `info` describes it.
        # CHECKS: notified_by_signal, needs-no-short-time-out, never-spins, model
        info = signal.sigwaitinfo({READY, LOST})
        # HINT: The stub wakes up every millisecond, whether a signal came or not. Which call sleeps until a signal comes?
        # HINT: Read sigwaitinfo(2) and sigtimedwait(2). Python has both functions in the module signal.
        # HINT: info = signal.sigwaitinfo({READY, LOST})
        # STUB: while not (info := signal.sigtimedwait({READY, LOST}, 0.001)):
        # STUB:     pass
        # END
        # si_fd is at the place that Python shows as si_status; after LOST, every socket may have something to serve
        reported = [info.si_status] if info.si_signo == READY else [listener.fileno(), *connections]


def arm(watched: socket.socket) -> None:
    """Makes the kernel queue a signal to this process for every event of the socket, from now on."""
    # GAP 5: Three calls of fcntl: make this process the owner of the socket, choose the signal READY, and add the flags O_ASYNC
    # and O_NONBLOCK to those that the socket has.
    # CHECKS: protocol, armed, notified_by_signal
    fcntl.fcntl(watched, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(watched, fcntl.F_SETSIG, READY)
    fcntl.fcntl(watched, fcntl.F_SETFL, fcntl.fcntl(watched, fcntl.F_GETFL) | os.O_ASYNC | os.O_NONBLOCK)
    # HINT: Read fcntl(2), "Managing signals", and UNP 25.2: which process gets the signal, which signal it gets, and from when
    #       on.
    # HINT: The commands are F_SETOWN, F_SETSIG, and F_SETFL with two flags more than F_GETFL returns.
    # HINT: fcntl.fcntl(watched, fcntl.F_SETOWN, os.getpid()) and fcntl.fcntl(watched, fcntl.F_SETSIG, READY)
    # HINT: fcntl.fcntl(watched, fcntl.F_SETFL, fcntl.fcntl(watched, fcntl.F_GETFL) | os.O_ASYNC | os.O_NONBLOCK)
    # STUB: watched.setblocking(False)
    # END


def accept_one(listener: socket.socket) -> socket.socket | None:
    """Accepts a connection. None if no connection waits."""
    try:
        return listener.accept()[0]
    except BlockingIOError:
        return None


def drain(connection: socket.socket, data: bytes) -> bytes | None:
    """Echoes until EAGAIN. Returns the data that found no room in the send buffer, and None if the connection has ended."""
    try:
        while True:
            while data:
                data = data[connection.send(data) :]
            if not (data := connection.recv(65536)):
                return None
    except BlockingIOError:
        return data
    except ConnectionError:  # the client has reset the connection
        return None


if __name__ == "__main__":
    main()
