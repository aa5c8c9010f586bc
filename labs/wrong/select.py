"""Wrong for lab select: each function is a select server with one fault that a student could make.

`WRONG` has, for each of them, words that the evidence of a failed check must contain. `RIGHT` names servers that are written in
another way than servers/select.py, and are right: the lab passes on them.
"""

from __future__ import annotations

import collections
import contextlib
import ctypes
import os
import select
import socket
import threading
import time
from collections.abc import Callable

from servers.kit.echo import accept, drain, echo

WRONG = {
    "always_writable": "a descriptor was reported as ready and no data moved",
    "zero_time_out": "the wait returned at once with nothing ready",
    "short_time_out": "in pselect6 ended because a time-out expired",
    "sleeping_handler": "in clock_nanosleep",
    "locking_handler": "in futex",
    "computing": "computed for",
    "blocking_accepted": "in recvfrom",
    "blocking_listener": "in accept4",
    "mixed": "by select and",
    "one_by_one": "had unread data while the thread slept",
    "first_half": "read 192 bytes and sent 96",
    "set_once": "of 3 clients they read",
    "ignores_the_end": "returned 0 bytes",
}
RIGHT = ("callbacks", "raw_descriptors", "reads_on_while_it_sends")
Answer = Callable[[socket.socket, bytes], bytes | None]


# -- faults of a handler, for every event loop: each echoes on a connection that is ready --------------------------------


def sleeps(connection: socket.socket, unsent: bytes) -> bytes | None:
    """Sleeps for 3 ms before the echo."""
    time.sleep(0.003)
    return echo(connection, unsent)


def takes_a_lock() -> Answer:
    """A handler that takes a lock which another thread holds most of the time."""
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                time.sleep(0.02)
            time.sleep(0.001)

    def answer(connection: socket.socket, unsent: bytes) -> bytes | None:
        with lock:
            return echo(connection, unsent)

    threading.Thread(target=work, daemon=True).start()
    return answer


def computes(connection: socket.socket, unsent: bytes) -> bytes | None:
    """Computes for 5 ms before the echo."""
    end = time.perf_counter() + 0.005
    while time.perf_counter() < end:
        pass
    return echo(connection, unsent)


def drains_blocking(connection: socket.socket, unsent: bytes) -> bytes | None:
    """Reads until EAGAIN on a blocking socket, which never gives EAGAIN."""
    connection.setblocking(True)
    return drain(connection, unsent)


def sends_half(connection: socket.socket, _unsent: bytes) -> bytes | None:
    """Sends the first half of the data."""
    data = connection.recv(65536)
    connection.send(data[: len(data) // 2])
    return b"" if data else None


def takes_the_end_for_nothing(connection: socket.socket, unsent: bytes) -> bytes | None:
    """Does not close a connection that has ended."""
    return echo(connection, unsent) or b""


# -- select --------------------------------------------------------------------------------------------------------------


def _serve(listener: socket.socket, time_out: float | None = None, all_writable: bool = False, answer: Answer = echo) -> None:
    """The loop of servers/select.py, with a place for the fault."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    unsent: dict[int, bytes] = {}
    while True:
        to_read = [listener.fileno(), *(fd for fd in connections if fd not in unsent)]
        readable, writable, _ = select.select(to_read, list(connections if all_writable else unsent), [], time_out)
        for fd in dict.fromkeys(readable + writable):
            if fd == listener.fileno():
                if connection := accept(listener):
                    connections[connection.fileno()] = connection
                continue
            rest = answer(connections[fd], unsent.pop(fd, b""))
            if rest is None:
                connections.pop(fd).close()
            elif rest:
                unsent[fd] = rest


def always_writable(listener: socket.socket) -> None:
    """Names each connection in the write set as well: the send buffer has room, so that select never sleeps."""
    _serve(listener, all_writable=True)


def zero_time_out(listener: socket.socket) -> None:
    """Gives select a time-out of 0, so that it returns at once, and calls it again."""
    _serve(listener, time_out=0)


def short_time_out(listener: socket.socket) -> None:
    """Gives select a time-out of 1 ms, and calls it again."""
    _serve(listener, time_out=0.001)


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
    while True:
        readable, _, _ = select.select([listener.fileno(), *connections], [], [])
        for fd in readable:
            if fd == listener.fileno():
                while connection := accept(listener):
                    connections[connection.fileno()] = connection
            elif echo(connections[fd], b"") is None:
                connections.pop(fd).close()


def mixed(listener: socket.socket) -> None:
    """Waits in select until something is ready, and asks poll for the descriptors."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    wishes = select.poll()
    wishes.register(listener, select.POLLIN)
    while True:
        select.select([listener.fileno(), *connections], [], [])
        for fd, _events in wishes.poll(0):
            if fd == listener.fileno():
                if connection := accept(listener):
                    connections[connection.fileno()] = connection
                    wishes.register(connection, select.POLLIN)
            elif echo(connections[fd], b"") is None:
                wishes.unregister(fd)
                connections.pop(fd).close()


def one_by_one(listener: socket.socket) -> None:
    """Serves one connection to its end, in an inner loop whose select names only this connection."""
    listener.setblocking(False)
    while True:
        select.select([listener], [], [])
        if connection := accept(listener):
            with connection:
                rest: bytes | None = b""
                while rest is not None:
                    select.select([] if rest else [connection], [connection] if rest else [], [])
                    rest = echo(connection, rest)


def first_half(listener: socket.socket) -> None:
    """Sends a part of the data, and drops the rest, like a server that ignores the result of a short send."""
    _serve(listener, answer=sends_half)


def set_once(listener: socket.socket) -> None:
    """Sets up the read set once, as C allows: select leaves only the ready descriptors in it, and forgets the others."""
    listener.setblocking(False)
    libc = ctypes.CDLL(None, use_errno=True)
    names = ctypes.create_string_buffer(128)  # an fd_set: 1,024 bits
    connections: dict[int, socket.socket] = {}

    def change(fd: int, to: bool) -> None:
        names[fd // 8] = bytes(((names.raw[fd // 8] & ~(1 << fd % 8)) | to << fd % 8,))

    def has(fd: int) -> bool:
        return bool(names.raw[fd // 8] >> fd % 8 & 1)

    change(listener.fileno(), True)
    while libc.select(1024, names, None, None, None) > 0:
        if has(listener.fileno()) and (connection := accept(listener)):
            connections[connection.fileno()] = connection
            change(connection.fileno(), True)
        for fd in [fd for fd in connections if has(fd)]:
            if echo(connections[fd], b"") is None:
                change(fd, False)
                connections.pop(fd).close()
    threading.Event().wait()  # with an empty set select would sleep for ever as well


def ignores_the_end(listener: socket.socket) -> None:
    """Keeps a connection in the set after its end: the end of a connection stays readable."""
    _serve(listener, answer=takes_the_end_for_nothing)


def callbacks(listener: socket.socket) -> None:
    """Right: dictionaries of callbacks, and a time-out of a second for other work."""
    listener.setblocking(False)
    on_readable: dict[int, Callable[[], None]] = {}
    on_writable: dict[int, Callable[[], None]] = {}

    def on_connection() -> None:
        if connection := accept(listener):
            on_readable[connection.fileno()] = lambda: on_data(connection)

    def on_data(connection: socket.socket) -> None:
        with contextlib.suppress(ConnectionError):
            if data := connection.recv(4096):
                send(connection, data)
                return
        on_readable.pop(connection.fileno(), None)
        on_writable.pop(connection.fileno(), None)
        connection.close()

    def on_room(connection: socket.socket, rest: bytes) -> None:
        try:
            send(connection, rest)
        except ConnectionError:
            del on_writable[connection.fileno()]
            connection.close()

    def send(connection: socket.socket, data: bytes) -> None:
        try:
            rest = data[connection.send(data) :]
        except BlockingIOError:  # the room that select reported may be too little for the kernel to take a part
            rest = data
        if rest:
            on_readable.pop(connection.fileno(), None)
            on_writable[connection.fileno()] = lambda: on_room(connection, rest)
        else:
            on_writable.pop(connection.fileno(), None)
            on_readable[connection.fileno()] = lambda: on_data(connection)

    on_readable[listener.fileno()] = on_connection
    while True:
        readable, writable, _ = select.select(on_readable, on_writable, [], 1.0)
        for callback in [on_readable[fd] for fd in readable] + [on_writable[fd] for fd in writable]:
            callback()


def raw_descriptors(listener: socket.socket) -> None:
    """Right: os.read and os.write on descriptors, all connections accepted at once, one handler for each kind."""
    listener.setblocking(False)
    open_ones: set[int] = set()
    pending: collections.defaultdict[int, bytearray] = collections.defaultdict(bytearray)
    while True:
        full = {fd for fd in open_ones if pending[fd]}
        readable, writable, _ = select.select({listener.fileno()} | open_ones - full, full, set())
        ended = set()
        for fd in writable:
            try:
                del pending[fd][: os.write(fd, pending[fd])]
            except ConnectionError:
                ended.add(fd)
        for fd in readable:
            if fd == listener.fileno():
                while connection := accept(listener):
                    open_ones.add(connection.detach())
                continue
            try:
                data = os.read(fd, 65536)
            except ConnectionError:
                data = b""
            pending[fd] += data
            if not data:
                ended.add(fd)
        for fd in ended:
            open_ones.remove(fd)
            pending.pop(fd, None)
            os.close(fd)


def reads_on_while_it_sends(listener: socket.socket) -> None:
    """Right: reads a connection also while its data is unsent, and waits in the write set for room."""
    listener.setblocking(False)
    connections: dict[socket.socket, bytes] = {}
    ended: set[socket.socket] = set()  # their clients send no more, and may still read
    while True:
        unsent = [each for each in connections if connections[each]]
        readable, writable, _ = select.select([listener, *(connections.keys() - ended)], unsent, [])
        for sock in readable:
            if sock is listener:
                if connection := accept(listener):
                    connections[connection] = b""
                continue
            try:
                data = sock.recv(65536)
            except ConnectionError:
                data, connections[sock] = b"", b""
            connections[sock] += data
            if not data:
                ended.add(sock)
        for sock in writable:
            try:
                connections[sock] = connections[sock][sock.send(connections[sock]) :]
            except OSError:
                connections[sock] = b""
                ended.add(sock)
        for sock in [each for each in ended if not connections[each]]:
            ended.remove(sock)
            del connections[sock]
            sock.close()
