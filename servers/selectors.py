"""The module selectors: callbacks on top of the best multiplexer of the platform, which is epoll on Linux.

A loop waits for events and calls the callback of each event: the Reactor pattern. It makes the same system calls as the epoll
server (UNP 6.2, "I/O Multiplexing Model"; docs.python.org, selectors).
"""

import selectors
import socket
from functools import partial

from servers.kit.echo import accept, echo


def serve(listener: socket.socket) -> None:
    """Registers the first callback, then calls the callback of each event, for ever."""
    listener.setblocking(False)
    reactor = selectors.DefaultSelector()
    reactor.register(listener, selectors.EVENT_READ, partial(on_connection, reactor, listener))
    while True:
        for key, _events in reactor.select():
            key.data()


def on_connection(reactor: selectors.BaseSelector, listener: socket.socket) -> None:
    """Accepts a connection and registers its callback."""
    if connection := accept(listener):
        reactor.register(connection, selectors.EVENT_READ, partial(on_ready, reactor, connection, b""))


def on_ready(reactor: selectors.BaseSelector, connection: socket.socket, unsent: bytes) -> None:
    """Echoes on a connection that can be read, or, if data is unsent, written."""
    rest = echo(connection, unsent)
    if rest is None:
        reactor.unregister(connection)
        connection.close()
    elif rest or unsent:
        wish = selectors.EVENT_WRITE if rest else selectors.EVENT_READ
        reactor.modify(connection, wish, partial(on_ready, reactor, connection, rest))
