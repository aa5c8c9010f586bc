"""Wrong for lab poll: each function is a poll server with one fault that a student could make.

`WRONG` has, for each of them, words that the evidence of a failed check must contain. `RIGHT` names servers that are written in
another way than servers/poll.py, and are right: the lab passes on them.
"""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Callable

from labs.wrong.select import (
    Answer,
    computes,
    drains_blocking,
    sends_half,
    sleeps,
    takes_a_lock,
    takes_the_end_for_nothing,
)
from servers.kit.echo import accept, echo

WRONG = {
    "always_writable": "a descriptor was reported as ready and no data moved",
    "zero_time_out": "the wait returned at once with nothing ready",
    "short_time_out": "in poll ended because a time-out expired",
    "sleeping_handler": "in clock_nanosleep",
    "locking_handler": "in futex",
    "computing": "computed for",
    "blocking_accepted": "in recvfrom",
    "blocking_listener": "in accept4",
    "mixed": "by poll and",
    "one_by_one": "had unread data while the thread slept",
    "first_half": "read 192 bytes and sent 96",
    "ignores_the_end": "returned 0 bytes",
    "ignores_the_hang_up": "a descriptor was reported as ready and no data moved",
}
RIGHT = ("anew", "callbacks", "without_connections_that_cannot_send")


def _serve(listener: socket.socket, time_out: float | None = None, events: int = select.POLLIN, answer: Answer = echo) -> None:
    """The loop of servers/poll.py, with a place for the fault."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    unsent: dict[int, bytes] = {}
    wishes = select.poll()
    wishes.register(listener, select.POLLIN)
    while True:
        for fd, _events in wishes.poll(time_out):
            if fd == listener.fileno():
                if connection := accept(listener):
                    connections[connection.fileno()] = connection
                    wishes.register(connection, events)
                continue
            rest = answer(connections[fd], unsent.pop(fd, b""))
            if rest is None:
                wishes.unregister(fd)
                connections.pop(fd).close()
            else:
                if rest:
                    unsent[fd] = rest
                wishes.modify(fd, select.POLLOUT if rest else events)


def always_writable(listener: socket.socket) -> None:
    """Asks for POLLOUT as well: the send buffer has room, so that poll never sleeps."""
    _serve(listener, events=select.POLLIN | select.POLLOUT)


def zero_time_out(listener: socket.socket) -> None:
    """Gives poll a time-out of 0, so that it returns at once, and calls it again."""
    _serve(listener, time_out=0)


def short_time_out(listener: socket.socket) -> None:
    """Gives poll a time-out of 1 ms, and calls it again."""
    _serve(listener, time_out=1)


def sleeping_handler(listener: socket.socket) -> None:
    """Sleeps for 3 ms in each handler: the other connections wait."""
    _serve(listener, answer=sleeps)


def locking_handler(listener: socket.socket) -> None:
    """Takes a lock in each handler that another thread holds most of the time."""
    _serve(listener, answer=takes_a_lock())


def computing(listener: socket.socket) -> None:
    """Computes for 5 ms in each handler: the other connections wait."""
    _serve(listener, answer=computes)


def blocking_accepted(listener: socket.socket) -> None:
    """Leaves the accepted sockets blocking, and reads until EAGAIN: the read after the last byte sleeps."""
    _serve(listener, answer=drains_blocking)


def blocking_listener(listener: socket.socket) -> None:
    """Accepts until EAGAIN on a blocking listener: the accept after the last connection sleeps."""
    connections: dict[int, socket.socket] = {}
    wishes = select.poll()
    wishes.register(listener, select.POLLIN)
    while True:
        for fd, _events in wishes.poll():
            if fd == listener.fileno():
                while connection := accept(listener):
                    connections[connection.fileno()] = connection
                    wishes.register(connection, select.POLLIN)
            elif echo(connections[fd], b"") is None:
                wishes.unregister(fd)
                connections.pop(fd).close()


def mixed(listener: socket.socket) -> None:
    """Waits in poll for the connections, and asks select after each wait whether the listener has a new one."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    wishes = select.poll()
    wishes.register(listener, select.POLLIN)
    while True:
        ready = wishes.poll()
        if select.select([listener], [], [], 0)[0] and (connection := accept(listener)):
            connections[connection.fileno()] = connection
            wishes.register(connection, select.POLLIN)
        for fd, _events in ready:
            if fd in connections and echo(connections[fd], b"") is None:
                wishes.unregister(fd)
                connections.pop(fd).close()


def one_by_one(listener: socket.socket) -> None:
    """Serves one connection to its end, in an inner loop whose poll names only this connection."""
    listener.setblocking(False)
    for_listener = select.poll()
    for_listener.register(listener, select.POLLIN)
    while True:
        for_listener.poll()
        if connection := accept(listener):
            with connection:
                wishes = select.poll()
                wishes.register(connection, select.POLLIN)
                rest: bytes | None = b""
                while rest is not None:
                    wishes.modify(connection, select.POLLOUT if rest else select.POLLIN)
                    wishes.poll()
                    rest = echo(connection, rest)


def first_half(listener: socket.socket) -> None:
    """Sends a part of the data, and drops the rest, like a server that ignores the result of a short send."""
    _serve(listener, answer=sends_half)


def ignores_the_end(listener: socket.socket) -> None:
    """Keeps a connection in the array after its end: the end of a connection stays readable."""
    _serve(listener, answer=takes_the_end_for_nothing)


def ignores_the_hang_up(listener: socket.socket) -> None:
    """Asks no event of a connection that has ended, and keeps it: poll reports POLLHUP and POLLERR without being asked."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    wishes = select.poll()
    wishes.register(listener, select.POLLIN)
    while True:
        for fd, events in wishes.poll():
            if fd == listener.fileno():
                if connection := accept(listener):
                    connections[connection.fileno()] = connection
                    wishes.register(connection, select.POLLIN)
            elif events & select.POLLIN and echo(connections[fd], b"") is None:
                connections[fd].shutdown(socket.SHUT_WR)
                wishes.modify(fd, 0)


def anew(listener: socket.socket) -> None:
    """Right: makes the poll object anew at each turn. The system calls are the same, as the array is in user space."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    unsent: dict[int, bytes] = {}
    while True:
        wishes = select.poll()
        wishes.register(listener, select.POLLIN)
        for fd in connections:
            wishes.register(fd, select.POLLOUT if fd in unsent else select.POLLIN)
        for fd, _events in wishes.poll():
            if fd == listener.fileno():
                if connection := accept(listener):
                    connections[connection.fileno()] = connection
                continue
            rest = echo(connections[fd], unsent.pop(fd, b""))
            if rest is None:
                connections.pop(fd).close()
            elif rest:
                unsent[fd] = rest


def callbacks(listener: socket.socket) -> None:
    """Right: a dictionary of callbacks, and a time-out of a second for other work."""
    listener.setblocking(False)
    wishes = select.poll()
    on_ready: dict[int, Callable[[], None]] = {}

    def watch(fd: int, callback: Callable[[], None], events: int = select.POLLIN) -> None:
        on_ready[fd] = callback
        wishes.register(fd, events)  # a descriptor that is there already gets the new events

    def on_connection() -> None:
        if connection := accept(listener):
            watch(connection.fileno(), lambda: on_data(connection))

    def on_data(connection: socket.socket) -> None:
        if data := connection.recv(4096):
            send(connection, data)
        else:
            wishes.unregister(connection)
            del on_ready[connection.fileno()]
            connection.close()

    def send(connection: socket.socket, data: bytes) -> None:
        try:
            rest = data[connection.send(data) :]
        except BlockingIOError:  # the room that poll reported may be too little for the kernel to take a part
            rest = data
        if rest:
            watch(connection.fileno(), lambda: send(connection, rest), select.POLLOUT)
        else:
            watch(connection.fileno(), lambda: on_data(connection))

    watch(listener.fileno(), on_connection)
    while True:
        for fd, events in wishes.poll(1000):
            if events & (select.POLLERR | select.POLLHUP):
                wishes.unregister(fd)
                del on_ready[fd]  # with the callback the connection's last reference goes, which closes it
            else:
                on_ready[fd]()


def without_connections_that_cannot_send(listener: socket.socket) -> None:
    """Right: POLLIN and POLLOUT at once while data is unsent, and POLLHUP and POLLERR handled by their bits."""
    listener.setblocking(False)
    connections: dict[int, tuple[socket.socket, bytearray]] = {}
    wishes = select.poll()
    wishes.register(listener.fileno(), select.POLLIN)
    while True:
        for fd, events in wishes.poll():
            if fd == listener.fileno():
                while connection := accept(listener):
                    connections[connection.fileno()] = connection, bytearray()
                    wishes.register(connection.fileno(), select.POLLIN | select.POLLPRI)
                continue
            connection, unsent = connections[fd]
            broken = events & (select.POLLHUP | select.POLLERR)
            data = connection.recv(65536) if events & select.POLLIN and not broken else b""
            unsent += data
            if unsent and not broken:
                with contextlib.suppress(BlockingIOError):
                    del unsent[: connection.send(unsent)]
            if broken or (events & select.POLLIN and not data):
                wishes.unregister(fd)
                connections.pop(fd)[0].close()
            else:
                wishes.modify(fd, select.POLLIN | (select.POLLOUT if unsent else 0))
