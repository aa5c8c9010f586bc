"""Wrong for lab epoll_edge: each function is a server of edge-triggered epoll with one fault that a student could make.

`WRONG` has, for each of them, words that the evidence of a failed check must contain. `RIGHT` names servers that are written in
another way than servers/epoll_edge.py, and are right: the lab passes on them.
"""

from __future__ import annotations

import select
import socket
import sys
import time
from collections.abc import Callable

from servers.kit.echo import accept, drain, echo

WRONG = {
    "undrained": "left data in the socket, and the thread then slept",
    "accepts_once": "never accepted 2 of 3 connections",
    "level": "a descriptor was reported as ready and no data moved",
    "level_input_only": "0 of 4 registrations are edge-triggered",
    "blocking_accepted": "in recvfrom",
    "zero_time_out": "the wait returned at once with nothing ready",
    "short_time_out": "in epoll_wait ended because a time-out expired",
    "modified_each_turn": "asked for the events that the descriptor had",
    "never_armed_again": "EPOLLONESHOT registrations were never armed again",
    "sleeping_handler": "in clock_nanosleep",
    "mixed_with_select": "by select",
    "first_half": "read 192 bytes and sent 96",
    "reads_one_byte": "asked for 1 byte",
    "forgets_to_close": "never closed 3 of 3 connections",
}
RIGHT = ("stops_at_a_short_read", "level_listener", "armed_for_one_event", "waits_for_room_when_needed", "limited_turns")

_CLOSE_WAIT = 8  # include/net/tcp_states.h
IN, OUT, EDGE, ONCE = select.EPOLLIN, select.EPOLLOUT, select.EPOLLET, select.EPOLLONESHOT
Answer = Callable[[socket.socket, bytes], bytes | None]  # echoes: what drain() of servers/kit/echo.py does


def loop(
    listener: socket.socket, mask: int = IN | OUT | EDGE, seconds: float | None = None, answer: Answer = drain, edge: int = EDGE
) -> None:
    """A server of edge-triggered epoll without a fault, for servers whose fault is in one of these parameters."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    unsent: dict[int, bytes] = {}
    with select.epoll() as epoll:
        epoll.register(listener, IN | edge)
        while True:
            for fd, _events in epoll.poll(seconds):
                if fd == listener.fileno():
                    while connection := accept(listener):
                        connections[connection.fileno()] = connection
                        epoll.register(connection, mask)
                    continue
                try:
                    rest = answer(connections[fd], unsent.pop(fd, b""))
                except ConnectionError:  # the client gave up
                    rest = None
                if rest is None:
                    connections.pop(fd).close()
                elif rest:
                    unsent[fd] = rest


def undrained(listener: socket.socket) -> None:
    """Reads 16 bytes once for each report: the rest of a message stays in the socket, and is not reported again."""

    def answer(connection: socket.socket, _unsent: bytes) -> bytes | None:
        try:
            data = connection.recv(16)
        except BlockingIOError:
            return b""
        return data[connection.send(data) :] if data else None

    loop(listener, answer=answer)


def accepts_once(listener: socket.socket) -> None:
    """Accepts one connection for each report: of several that wait, only one is served."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    while _waiting(listener) < 3:  # a server that starts slowly: the connections of all clients wait
        time.sleep(0.01)
    with select.epoll() as epoll:
        epoll.register(listener, IN | EDGE)
        while True:
            for fd, _events in epoll.poll():
                if fd == listener.fileno():
                    if connection := accept(listener):
                        connections[connection.fileno()] = connection
                        epoll.register(connection, IN | EDGE)
                elif drain(connections[fd], b"") is None:
                    connections.pop(fd).close()


def _waiting(listener: socket.socket) -> int:
    """The connections in the accept queue: tcpi_unacked of a listener (net/ipv4/tcp.c: tcp_get_info)."""
    information = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 28)
    return int.from_bytes(information[24:28], sys.byteorder)


def level(listener: socket.socket) -> None:
    """Leaves EPOLLET out: the registration for EPOLLOUT, which an edge reports rarely, is then always ready."""
    loop(listener, mask=IN | OUT, edge=0)


def level_input_only(listener: socket.socket) -> None:
    """Leaves EPOLLET out, and EPOLLOUT as well: this is a server of level-triggered epoll."""
    loop(listener, mask=IN, edge=0)


def blocking_accepted(listener: socket.socket) -> None:
    """Reads a connection "until EAGAIN" although it is blocking: the read after the last byte sleeps."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    with select.epoll() as epoll:
        epoll.register(listener, IN | EDGE)
        while True:
            for fd, _events in epoll.poll():
                if fd == listener.fileno():
                    while connection := accept(listener):
                        connection.setblocking(True)
                        connections[connection.fileno()] = connection
                        epoll.register(connection, IN | EDGE)
                elif drain(connections[fd], b"") is None:
                    connections.pop(fd).close()


def zero_time_out(listener: socket.socket) -> None:
    """Gives epoll_wait a time-out of 0, so that it returns at once, and calls it again."""
    loop(listener, seconds=0)


def short_time_out(listener: socket.socket) -> None:
    """Gives epoll_wait a time-out of 1 ms, after which it returns without an event."""
    loop(listener, seconds=0.001)


def modified_each_turn(listener: socket.socket) -> None:
    """Calls EPOLL_CTL_MOD after each turn: the kernel then reports what is there once more, as level-triggered epoll does."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    with select.epoll() as epoll:
        epoll.register(listener, IN | EDGE)
        while True:
            for fd, _events in epoll.poll():
                if fd == listener.fileno():
                    while connection := accept(listener):
                        connections[connection.fileno()] = connection
                        epoll.register(connection, IN | EDGE)
                elif echo(connections[fd], b"") is None:
                    connections.pop(fd).close()
                else:
                    epoll.modify(fd, IN | EDGE)


def never_armed_again(listener: socket.socket) -> None:
    """Registers with EPOLLONESHOT, which turns a registration off after one event, and never turns it on again."""
    loop(listener, mask=IN | EDGE | ONCE)


def sleeping_handler(listener: socket.socket) -> None:
    """Sleeps for 5 ms before each echo."""

    def answer(connection: socket.socket, unsent: bytes) -> bytes | None:
        time.sleep(0.005)
        return drain(connection, unsent)

    loop(listener, answer=answer)


def mixed_with_select(listener: socket.socket) -> None:
    """Waits for new connections in select and for data in epoll_wait, each for some milliseconds in turn."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    with select.epoll() as epoll:
        while True:
            if select.select([listener], [], [], 0.002)[0]:
                while connection := accept(listener):
                    connections[connection.fileno()] = connection
                    epoll.register(connection, IN | EDGE)
            for fd, _events in epoll.poll(0.002):
                if drain(connections[fd], b"") is None:
                    connections.pop(fd).close()


def first_half(listener: socket.socket) -> None:
    """Sends the first half of what it read, as send may do, and forgets the rest."""

    def answer(connection: socket.socket, _unsent: bytes) -> bytes | None:
        try:
            while data := connection.recv(65536):
                connection.send(data[: (len(data) + 1) // 2])
        except BlockingIOError:
            return b""
        return None

    loop(listener, answer=answer)


def reads_one_byte(listener: socket.socket) -> None:
    """Drains each connection by reads of 1 byte: a system call for each byte."""

    def answer(connection: socket.socket, _unsent: bytes) -> bytes | None:
        try:
            while data := connection.recv(1):
                connection.send(data)
        except BlockingIOError:
            return b""
        return None

    loop(listener, answer=answer)


def forgets_to_close(listener: socket.socket) -> None:
    """Keeps the connection of a client that has ended: edge-triggered epoll reports the end once, and is silent then."""

    def answer(connection: socket.socket, unsent: bytes) -> bytes | None:
        return drain(connection, unsent) or b""

    loop(listener, answer=answer)


def stops_at_a_short_read(listener: socket.socket) -> None:
    """Right: a read that returns less than it asked for has emptied the stream (man 7 epoll), so that no EAGAIN is needed.

    A FIN that arrives together with data makes no edge of its own: the state of the socket shows it.
    """

    def answer(connection: socket.socket, unsent: bytes) -> bytes | None:
        try:
            while True:
                while unsent:
                    unsent = unsent[connection.send(unsent) :]
                if not (unsent := connection.recv(65536)):
                    return None
                if len(unsent) < 65536 and connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != _CLOSE_WAIT:
                    return unsent[connection.send(unsent) :]
        except BlockingIOError:
            return unsent
        except ConnectionError:
            return None

    loop(listener, answer=answer)


def level_listener(listener: socket.socket) -> None:
    """Right: the listener is level-triggered, with one accept for each report; the connections are edge-triggered."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    unsent: dict[int, bytes] = {}
    with select.epoll() as epoll:
        epoll.register(listener, IN)
        while True:
            for fd, _events in epoll.poll():
                if fd == listener.fileno():
                    if connection := accept(listener):
                        connections[connection.fileno()] = connection
                        epoll.register(connection, IN | OUT | EDGE)
                    continue
                rest = drain(connections[fd], unsent.pop(fd, b""))
                if rest is None:
                    connections.pop(fd).close()
                elif rest:
                    unsent[fd] = rest


def armed_for_one_event(listener: socket.socket) -> None:
    """Right: EPOLLONESHOT as well, armed again after each turn, as a program with several threads does."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    unsent: dict[int, bytes] = {}
    with select.epoll() as epoll:
        epoll.register(listener, IN | EDGE)
        while True:
            for fd, _events in epoll.poll():
                if fd == listener.fileno():
                    while connection := accept(listener):
                        connections[connection.fileno()] = connection
                        epoll.register(connection, IN | EDGE | ONCE)
                    continue
                rest = drain(connections[fd], unsent.pop(fd, b""))
                if rest is None:
                    epoll.unregister(fd)
                    connections.pop(fd).close()
                    continue
                if rest:
                    unsent[fd] = rest
                epoll.modify(fd, (OUT if rest else IN) | EDGE | ONCE)


def waits_for_room_when_needed(listener: socket.socket) -> None:
    """Right: registers for EPOLLIN, and changes to EPOLLOUT only while data is unsent."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    unsent: dict[int, bytes] = {}
    with select.epoll(sizehint=16) as epoll:
        epoll.register(listener.fileno(), IN | EDGE)
        while True:
            for fd, _events in epoll.poll(maxevents=2):
                if fd == listener.fileno():
                    while connection := accept(listener):
                        connections[connection.fileno()] = connection
                        epoll.register(connection.fileno(), IN | EDGE | select.EPOLLRDHUP)
                    continue
                before = unsent.pop(fd, b"")
                rest = drain(connections[fd], before)
                if rest is None:
                    connections.pop(fd).close()
                    continue
                if rest:
                    unsent[fd] = rest
                if bool(rest) != bool(before):
                    epoll.modify(fd, (OUT if rest else IN | select.EPOLLRDHUP) | EDGE)


def limited_turns(listener: socket.socket) -> None:
    """Right: reads each ready connection once per turn, and keeps a list of those that are not drained yet."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    unsent: dict[int, bytes] = {}
    undrained: dict[int, None] = {}
    with select.epoll() as epoll:
        epoll.register(listener, IN | EDGE)
        while True:
            for fd, _events in epoll.poll(0 if undrained else None):
                undrained[fd] = None
            for fd in list(undrained):
                if fd == listener.fileno():
                    if connection := accept(listener):
                        connections[connection.fileno()] = connection
                        epoll.register(connection, IN | OUT | EDGE)
                    else:
                        del undrained[fd]
                    continue
                pending = unsent.pop(fd, b"")
                try:
                    pending = pending or connections[fd].recv(65536)
                    if not pending:
                        del undrained[fd]
                        connections.pop(fd).close()
                        continue
                    pending = pending[connections[fd].send(pending) :]
                except BlockingIOError:
                    del undrained[fd]
                except ConnectionError:
                    del undrained[fd]
                    connections.pop(fd).close()
                    continue
                if pending:
                    unsent[fd] = pending
