"""Wrong for lab epoll: each function is an epoll server with one fault that a student could make.

`WRONG` has, for each of them, words that the evidence of a failed check must contain. `RIGHT` names servers that are written in
another way than servers/epoll.py, and are right: the lab passes on them.
"""

from __future__ import annotations

import functools
import select
import socket
import threading
import time
from collections.abc import Callable

from servers.kit.echo import accept, drain, echo

WRONG = {
    "always_writable": "a descriptor was reported as ready and no data moved",
    "zero_time_out": "the wait returned at once with nothing ready",
    "short_time_out": "in epoll_wait ended because a time-out expired",
    "sleeping_handler": "in clock_nanosleep",
    "locking_handler": "in futex",
    "computing_handler": "was in user code for",
    "blocking_accepted": "in recvfrom",
    "blocking_unread": "no call set O_NONBLOCK for 3 of 3 connections",
    "registered_anew": "EPOLL_CTL_ADD added a descriptor again",
    "modified_each_turn": "asked for the events that the descriptor had",
    "new_epoll_each_turn": "EPOLL_CTL_ADD added a descriptor again",
    "mixed_with_select": "by select",
    "one_by_one": "had unread data while the thread slept",
    "scans_all": "had been reported",
    "first_half": "read 192 bytes and sent 96",
    "reads_one_byte": "asked for 1 byte",
    "ignores_the_end": "a descriptor was reported as ready and no data moved",
    "forgets_to_close": "never closed 3 of 3 connections",
    "accepts_one_client": "never accepted 2 of 3 connections",
}
RIGHT = ("sends_before_it_waits", "replies_when_writable", "armed_for_one_event", "one_function_each", "reads_until_eagain")

Answer = Callable[[socket.socket, bytes], bytes | None]  # echoes: what echo() of servers/kit/echo.py does


def loop(listener: socket.socket, mask: int = select.EPOLLIN, seconds: float | None = None, answer: Answer = echo) -> None:
    """An epoll server without a fault, for servers whose fault is in one of these parameters."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    unsent: dict[int, bytes] = {}
    with select.epoll() as epoll:
        epoll.register(listener, select.EPOLLIN)
        while True:
            for fd, _events in epoll.poll(seconds):
                if fd == listener.fileno():
                    if connection := accept(listener):
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


def always_writable(listener: socket.socket) -> None:
    """Registers each connection for EPOLLOUT as well: the send buffer has room, so that epoll_wait never sleeps."""
    loop(listener, mask=select.EPOLLIN | select.EPOLLOUT)


def zero_time_out(listener: socket.socket) -> None:
    """Gives epoll_wait a time-out of 0, so that it returns at once, and calls it again."""
    loop(listener, seconds=0)


def short_time_out(listener: socket.socket) -> None:
    """Gives epoll_wait a time-out of 1 ms, after which it returns without an event."""
    loop(listener, seconds=0.001)


def sleeping_handler(listener: socket.socket) -> None:
    """Sleeps for 5 ms before each echo."""

    def answer(connection: socket.socket, unsent: bytes) -> bytes | None:
        time.sleep(0.005)
        return echo(connection, unsent)

    loop(listener, answer=answer)


def locking_handler(listener: socket.socket) -> None:
    """Takes a lock before each echo; another thread holds it most of the time."""
    lock = threading.Lock()

    def hold() -> None:
        while True:
            with lock:
                time.sleep(0.02)
            time.sleep(0.001)

    def answer(connection: socket.socket, unsent: bytes) -> bytes | None:
        with lock:
            return echo(connection, unsent)

    threading.Thread(target=hold, daemon=True).start()
    loop(listener, answer=answer)


def computing_handler(listener: socket.socket) -> None:
    """Computes for some 20 ms before each echo: all other connections wait for it."""

    def answer(connection: socket.socket, unsent: bytes) -> bytes | None:
        end = time.thread_time() + 0.02
        while time.thread_time() < end:
            sum(range(10_000))
        return echo(connection, unsent)

    loop(listener, answer=answer)


def accepted_but_blocking(listener: socket.socket) -> socket.socket | None:
    """The next connection, left as accept made it: blocking, also where the listener is not."""
    try:
        return listener.accept()[0]
    except BlockingIOError:
        return None


def blocking_accepted(listener: socket.socket) -> None:
    """Reads a connection "until EAGAIN" although it is blocking: the read after the last byte sleeps."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    with select.epoll() as epoll:
        epoll.register(listener, select.EPOLLIN)
        while True:
            for fd, _events in epoll.poll():
                if fd == listener.fileno():
                    if connection := accepted_but_blocking(listener):
                        connections[connection.fileno()] = connection
                        epoll.register(connection, select.EPOLLIN)
                    continue
                while data := connections[fd].recv(65536):
                    connections[fd].sendall(data)
                connections.pop(fd).close()


def blocking_unread(listener: socket.socket) -> None:
    """Leaves the connections blocking, and reads each once per event: a slow client would hold the thread in sendall."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    with select.epoll() as epoll:
        epoll.register(listener, select.EPOLLIN)
        while True:
            for fd, _events in epoll.poll():
                if fd == listener.fileno():
                    if connection := accepted_but_blocking(listener):
                        connections[connection.fileno()] = connection
                        epoll.register(connection, select.EPOLLIN)
                elif data := connections[fd].recv(65536):
                    connections[fd].sendall(data)
                else:
                    connections.pop(fd).close()


def registered_anew(listener: socket.socket) -> None:
    """Removes each descriptor after its event, and adds all before the next wait, as a program of select does."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {listener.fileno(): listener}
    with select.epoll() as epoll:
        while True:
            for fd in connections:
                epoll.register(fd, select.EPOLLIN)
            ready = epoll.poll()
            for fd in connections:
                epoll.unregister(fd)
            for fd, _events in ready:
                if fd == listener.fileno():
                    if connection := accept(listener):
                        connections[connection.fileno()] = connection
                elif echo(connections[fd], b"") is None:
                    connections.pop(fd).close()


def modified_each_turn(listener: socket.socket) -> None:
    """Calls epoll_ctl(EPOLL_CTL_MOD) after each echo, with the events that the descriptor is registered for."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    with select.epoll() as epoll:
        epoll.register(listener, select.EPOLLIN)
        while True:
            for fd, _events in epoll.poll():
                if fd == listener.fileno():
                    if connection := accept(listener):
                        connections[connection.fileno()] = connection
                        epoll.register(connection, select.EPOLLIN)
                elif echo(connections[fd], b"") is None:
                    connections.pop(fd).close()
                else:
                    epoll.modify(fd, select.EPOLLIN)


def new_epoll_each_turn(listener: socket.socket) -> None:
    """Makes an epoll instance for each wait, and registers all descriptors with it."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {listener.fileno(): listener}
    while True:
        with select.epoll() as epoll:
            for fd in connections:
                epoll.register(fd, select.EPOLLIN)
            for fd, _events in epoll.poll():
                if fd == listener.fileno():
                    if connection := accept(listener):
                        connections[connection.fileno()] = connection
                elif echo(connections[fd], b"") is None:
                    connections.pop(fd).close()


def mixed_with_select(listener: socket.socket) -> None:
    """Waits for new connections in select and for data in epoll_wait, each for some milliseconds in turn."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    with select.epoll() as epoll:
        while True:
            if select.select([listener], [], [], 0.002)[0] and (connection := accept(listener)):
                connections[connection.fileno()] = connection
                epoll.register(connection, select.EPOLLIN)
            for fd, _events in epoll.poll(0.002):
                if echo(connections[fd], b"") is None:
                    connections.pop(fd).close()


def one_by_one(listener: socket.socket) -> None:
    """Serves a connection to its end before it accepts the next."""
    while True:
        connection, _address = listener.accept()
        connection.setblocking(False)
        with connection, select.epoll() as epoll:
            epoll.register(connection, select.EPOLLIN)
            while epoll.poll() and echo(connection, b"") is not None:
                pass


def scans_all(listener: socket.socket) -> None:
    """Throws away the events of epoll_wait, and tries every descriptor."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    with select.epoll() as epoll:
        epoll.register(listener, select.EPOLLIN)
        while True:
            epoll.poll()
            while connection := accept(listener):
                connections[connection.fileno()] = connection
                epoll.register(connection, select.EPOLLIN)
            for fd, connection in list(connections.items()):
                if echo(connection, b"") is None:
                    connections.pop(fd).close()


def first_half(listener: socket.socket) -> None:
    """Sends the first half of what it read, as send may do, and forgets the rest."""

    def answer(connection: socket.socket, _unsent: bytes) -> bytes | None:
        data = connection.recv(65536)
        connection.send(data[: (len(data) + 1) // 2])
        return b"" if data else None

    loop(listener, answer=answer)


def reads_one_byte(listener: socket.socket) -> None:
    """Reads 1 byte per event: a system call, and a wait, for each byte."""

    def answer(connection: socket.socket, unsent: bytes) -> bytes | None:
        data = unsent or connection.recv(1)
        return data[connection.send(data) :] if data else None

    loop(listener, answer=answer)


def ignores_the_end(listener: socket.socket) -> None:
    """Keeps a connection whose client has ended: level-triggered epoll reports the end again and again."""

    def answer(connection: socket.socket, unsent: bytes) -> bytes | None:
        return echo(connection, unsent) or b""

    loop(listener, answer=answer)


def forgets_to_close(listener: socket.socket) -> None:
    """Unregisters a connection whose client has ended, and keeps its descriptor open."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    with select.epoll() as epoll:
        epoll.register(listener, select.EPOLLIN)
        while True:
            for fd, _events in epoll.poll():
                if fd == listener.fileno():
                    if connection := accept(listener):
                        connections[connection.fileno()] = connection
                        epoll.register(connection, select.EPOLLIN)
                elif echo(connections[fd], b"") is None:
                    epoll.unregister(fd)


def accepts_one_client(listener: socket.socket) -> None:
    """Unregisters the listener after the first connection, as if there were one client."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    with select.epoll() as epoll:
        epoll.register(listener, select.EPOLLIN)
        while True:
            for fd, _events in epoll.poll():
                if fd == listener.fileno():
                    if connection := accept(listener):
                        connections[connection.fileno()] = connection
                        epoll.register(connection, select.EPOLLIN)
                        epoll.unregister(listener)
                elif fd in connections and echo(connections[fd], b"") is None:
                    connections.pop(fd).close()


def sends_before_it_waits(listener: socket.socket) -> None:
    """Right: takes one event per wait, accepts all that wait, and changes a registration only while data is unsent."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    unsent: dict[int, bytes] = {}
    with select.epoll() as epoll:
        epoll.register(listener.fileno(), select.EPOLLIN)
        while True:
            for fd, events in epoll.poll(maxevents=1):
                if fd == listener.fileno():
                    while connection := accept(listener):
                        connections[connection.fileno()] = connection
                        epoll.register(connection.fileno(), select.EPOLLIN)
                    continue
                rest = echo(connections[fd], unsent.pop(fd, b""))
                if rest is None:
                    connections.pop(fd).close()
                    continue
                if rest:
                    unsent[fd] = rest
                if bool(rest) != bool(events & select.EPOLLOUT):
                    epoll.modify(fd, select.EPOLLOUT if rest else select.EPOLLIN)


def replies_when_writable(listener: socket.socket) -> None:
    """Right: reads on EPOLLIN, then waits for EPOLLOUT to send, as many examples do: two calls of epoll_ctl per message."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    unsent: dict[int, bytes] = {}
    with select.epoll() as epoll:
        epoll.register(listener, select.EPOLLIN)
        while True:
            for fd, events in epoll.poll():
                if fd == listener.fileno():
                    if connection := accept(listener):
                        connections[connection.fileno()] = connection
                        epoll.register(connection, select.EPOLLIN)
                elif events & (select.EPOLLERR | select.EPOLLHUP):
                    epoll.unregister(fd)
                    connections.pop(fd).close()
                elif events & select.EPOLLIN:
                    if data := connections[fd].recv(65536):
                        unsent[fd] = data
                        epoll.modify(fd, select.EPOLLOUT)
                    else:
                        epoll.unregister(fd)
                        connections.pop(fd).close()
                elif events & select.EPOLLOUT:
                    unsent[fd] = unsent[fd][connections[fd].send(unsent[fd]) :]
                    if not unsent[fd]:
                        epoll.modify(fd, select.EPOLLIN)


def armed_for_one_event(listener: socket.socket) -> None:
    """Right: EPOLLONESHOT turns a registration off after one event; EPOLL_CTL_MOD arms it again after the echo."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    unsent: dict[int, bytes] = {}
    with select.epoll() as epoll:
        epoll.register(listener, select.EPOLLIN)
        while True:
            for fd, _events in epoll.poll():
                if fd == listener.fileno():
                    if connection := accept(listener):
                        connections[connection.fileno()] = connection
                        epoll.register(connection, select.EPOLLIN | select.EPOLLONESHOT)
                    continue
                rest = echo(connections[fd], unsent.pop(fd, b""))
                if rest is None:
                    connections.pop(fd).close()
                    continue
                if rest:
                    unsent[fd] = rest
                epoll.modify(fd, (select.EPOLLOUT if rest else select.EPOLLIN) | select.EPOLLONESHOT)


def one_function_each(listener: socket.socket) -> None:
    """Right: a table of functions by descriptor, and a long time-out for work that is due every 10 s."""
    listener.setblocking(False)
    handlers: dict[int, Callable[[], None]] = {}
    unsent: dict[int, bytes] = {}
    epoll = select.epoll(sizehint=64)

    def admit() -> None:
        if connection := accept(listener):
            handlers[connection.fileno()] = functools.partial(answer, connection)
            epoll.register(connection, select.EPOLLIN | select.EPOLLRDHUP)

    def answer(connection: socket.socket) -> None:
        fd = connection.fileno()
        before = unsent.pop(fd, b"")
        rest = echo(connection, before)
        if rest is None:
            del handlers[fd]
            connection.close()
            return
        if rest:
            unsent[fd] = rest
        if bool(rest) != bool(before):
            epoll.modify(fd, select.EPOLLOUT if rest else select.EPOLLIN | select.EPOLLRDHUP)

    handlers[listener.fileno()] = admit
    epoll.register(listener, select.EPOLLIN)
    while True:
        for fd, _events in epoll.poll(10):
            handlers[fd]()


def reads_until_eagain(listener: socket.socket) -> None:
    """Right: level-triggered, and drains all the same; keeps unsent data in a list of parts."""
    listener.setblocking(False)
    connections: dict[int, socket.socket] = {}
    parts: dict[int, list[bytes]] = {}
    with select.epoll() as epoll:
        epoll.register(listener, select.EPOLLIN)
        while True:
            for fd, events in epoll.poll():
                if fd == listener.fileno():
                    while connection := accept(listener):
                        connections[connection.fileno()] = connection
                        parts[connection.fileno()] = []
                        epoll.register(connection, select.EPOLLIN)
                    continue
                rest = drain(connections[fd], b"".join(parts[fd]))
                if rest is None:
                    del parts[fd]
                    connections.pop(fd).close()
                    continue
                if bool(rest) != bool(events & select.EPOLLOUT):
                    epoll.modify(fd, select.EPOLLOUT if rest else select.EPOLLIN)
                parts[fd] = [rest] if rest else []
