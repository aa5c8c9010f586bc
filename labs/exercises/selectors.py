"""An echo server with callbacks: a reactor waits and calls a function for each event (UNP 6.2; module selectors).

Start it by python3 selectors_server.py 8080, and try it by nc 127.0.0.1 8080.
"""

import os
import selectors
import socket
import sys
from functools import partial


def main() -> None:
    """Listens on 127.0.0.1, on the port of the command line or of the variable PORT; 0 is any free port."""
    port = int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PORT", "0"))
    listener = socket.create_server(("127.0.0.1", port), backlog=128)
    print(f"listening on port {listener.getsockname()[1]}", flush=True)
    serve(listener)


def serve(listener: socket.socket) -> None:
    """Registers the first callback, then calls the callback of each event, for ever."""
    listener.setblocking(False)
    reactor = selectors.DefaultSelector()  # epoll on Linux
    # GAP 1: Register the listener: when it can be read, the reactor must call on_connection(reactor, listener). The function to
    # call is the third argument of register (`data`).
    # CHECKS: protocol
    reactor.register(listener, selectors.EVENT_READ, partial(on_connection, reactor, listener))
    # HINT: The selector keeps any object beside each descriptor, and returns it with the event. Here it is a function.
    # HINT: Read docs.python.org: selectors.BaseSelector.register and functools.partial.
    # HINT: reactor.register(listener, selectors.EVENT_READ, partial(on_connection, reactor, listener))
    # END
    while True:
        # GAP 2: Sleep until events come, however long that takes, and call the function of each event.
        # CHECKS: asleep, never-spins, needs-no-short-time-out, reactor, protocol
        for key, _events in reactor.select():
            key.data()
        # HINT: reactor.select returns pairs: a key and its events. key.data is the function that was registered.
        # HINT: A time-out of 0 returns at once. Without an argument, select waits without a limit.
        # HINT: for key, _events in reactor.select(): key.data()
        # STUB: for key, _events in reactor.select(0):
        # STUB:     key.data()
        # END


def on_connection(reactor: selectors.BaseSelector, listener: socket.socket) -> None:
    """Accepts a connection and registers its callback."""
    # GAP 3: Accept, make the connection non-blocking, and register it: when it can be read, the reactor must call
    # on_ready(reactor, connection, b"").
    # CHECKS: protocol, slow_reader
    connection, _address = listener.accept()
    connection.setblocking(False)
    reactor.register(connection, selectors.EVENT_READ, partial(on_ready, reactor, connection, b""))
    # HINT: The registration of the listener does not cover the connection.
    # HINT: A connection does not inherit O_NONBLOCK from the listener (accept(2)). In a blocking connection, send would sleep,
    #       and no other client would be served meanwhile.
    # HINT: listener.accept(), connection.setblocking(False), and
    #       reactor.register(connection, selectors.EVENT_READ, partial(on_ready, reactor, connection, b""))
    # STUB: pass
    # END


def on_ready(reactor: selectors.BaseSelector, connection: socket.socket, unsent: bytes) -> None:
    """Echoes on a connection that can be read, or, if data is unsent, written."""
    try:
        data = unsent or connection.recv(65536)
        rest = send_what_fits(connection, data)
    except ConnectionError:  # the client has reset the connection
        data = rest = b""
    # GAP 4: If `data` is empty, the connection has ended: unregister it, close it, and return.
    # CHECKS: half_close, asleep, serves, closes-ended-connections, never-spins
    if not data:
        reactor.unregister(connection)
        connection.close()
        return
    # HINT: recv returns 0 bytes when the client has sent its FIN. The reactor reports such a connection as readable for ever.
    # HINT: UNP 5.13 has the same case. Read docs.python.org: selectors.BaseSelector.unregister; call it before close.
    # HINT: if not data: reactor.unregister(connection), connection.close(), return
    # STUB: if not data:
    # STUB:     return
    # END
    # GAP 5: If there is a rest, let the reactor call on_ready with it as soon as the send buffer has room. When the whole rest
    # is sent, let the reactor wait for new data again.
    # CHECKS: slow_reader, huge_message
    if rest or unsent:
        event = selectors.EVENT_WRITE if rest else selectors.EVENT_READ
        reactor.modify(connection, event, partial(on_ready, reactor, connection, rest))
    # HINT: The stub forgets `rest`. The callback can carry it: its third argument is the unsent data.
    # HINT: Read docs.python.org: selectors.BaseSelector.modify. It changes the event and the data of a registration. A socket
    #       nearly always has room, so wait for EVENT_WRITE only while data is unsent.
    # HINT: With a rest: reactor.modify(connection, selectors.EVENT_WRITE, partial(on_ready, reactor, connection, rest)).
    # HINT: Without a rest, but if `unsent` was not empty: the same with selectors.EVENT_READ and b"".
    # END


def send_what_fits(connection: socket.socket, data: bytes) -> bytes:
    """Sends without waiting. Returns the data that found no room in the send buffer."""
    try:
        return data[connection.send(data) :]
    except BlockingIOError:
        return data


if __name__ == "__main__":
    main()
