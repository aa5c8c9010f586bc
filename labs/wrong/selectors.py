"""Wrong for lab selectors: each function is a server on a selector with one fault that a student could make.

`WRONG` has, for each of them, words that the evidence of a failed check must contain. `RIGHT` names servers that are written in
another way than servers/selectors.py, and are right: the lab passes on them.
"""

from __future__ import annotations

import selectors
import socket
from collections import deque

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
    "short_time_out": "in epoll_wait ended because a time-out expired",
    "sleeping_handler": "in clock_nanosleep",
    "locking_handler": "in futex",
    "computing": "computed for",
    "with_select": "of pselect6",
    "with_poll": "of poll",
    "blocking_accepted": "in recvfrom",
    "registers_anew": "EPOLL_CTL_ADD for 4 descriptors",
    "first_half": "read 192 bytes and sent 96",
    "ignores_the_end": "returned 0 bytes",
}
RIGHT = ("with_epoll_by_name", "reads_and_writes_by_events", "with_a_queue_of_work")
READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


def _serve(
    listener: socket.socket,
    time_out: float | None = None,
    events: int = READ,
    answer: Answer = echo,
    kind: type[selectors.BaseSelector] = selectors.DefaultSelector,
) -> None:
    """The loop of servers/selectors.py, with a place for the fault."""
    listener.setblocking(False)
    with kind() as reactor:
        reactor.register(listener, READ)
        while True:
            for key, _events in reactor.select(time_out):
                if key.fileobj is listener:
                    if connection := accept(listener):
                        reactor.register(connection, events, b"")
                    continue
                assert isinstance(key.fileobj, socket.socket)
                rest = answer(key.fileobj, key.data)
                if rest is None:
                    reactor.unregister(key.fileobj)
                    key.fileobj.close()
                elif rest or key.data:
                    reactor.modify(key.fileobj, WRITE if rest else events, rest)


def always_writable(listener: socket.socket) -> None:
    """Asks for EVENT_WRITE as well: the send buffer has room, so that the selector never sleeps."""
    _serve(listener, events=READ | WRITE)


def zero_time_out(listener: socket.socket) -> None:
    """Gives select() a time-out of 0, so that it returns at once, and calls it again."""
    _serve(listener, time_out=0)


def short_time_out(listener: socket.socket) -> None:
    """Gives select() a time-out of 1 ms, and calls it again."""
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


def with_select(listener: socket.socket) -> None:
    """Names SelectSelector, and so gives up what the module would choose."""
    _serve(listener, kind=selectors.SelectSelector)


def with_poll(listener: socket.socket) -> None:
    """Names PollSelector, and so gives up what the module would choose."""
    _serve(listener, kind=selectors.PollSelector)


def blocking_accepted(listener: socket.socket) -> None:
    """Leaves the accepted sockets blocking, and reads until EAGAIN: the read after the last byte sleeps."""
    _serve(listener, answer=drains_blocking)


def registers_anew(listener: socket.socket) -> None:
    """Registers a connection again after each event, as one sets up the sets of select again."""
    listener.setblocking(False)
    reactor = selectors.DefaultSelector()
    reactor.register(listener, READ)
    while True:
        for key, _events in reactor.select():
            if key.fileobj is listener:
                if connection := accept(listener):
                    reactor.register(connection, READ)
                continue
            assert isinstance(key.fileobj, socket.socket)
            reactor.unregister(key.fileobj)
            if echo(key.fileobj, b"") is None:
                key.fileobj.close()
            else:
                reactor.register(key.fileobj, READ)


def first_half(listener: socket.socket) -> None:
    """Sends a part of the data, and drops the rest, like a server that ignores the result of a short send."""
    _serve(listener, answer=sends_half)


def ignores_the_end(listener: socket.socket) -> None:
    """Keeps a connection registered after its end: the end of a connection stays readable."""
    _serve(listener, answer=takes_the_end_for_nothing)


def with_epoll_by_name(listener: socket.socket) -> None:
    """Right: names EpollSelector, which is what DefaultSelector is on Linux, and wakes once a second for other work."""
    _serve(listener, time_out=1.0, kind=selectors.EpollSelector)


def reads_and_writes_by_events(listener: socket.socket) -> None:
    """Right: looks at the events of each descriptor, reads on while data is unsent, and asks to write only then."""
    listener.setblocking(False)
    reactor = selectors.DefaultSelector()
    reactor.register(listener, READ)
    while True:
        for key, events in reactor.select():
            if key.fileobj is listener:
                while connection := accept(listener):
                    reactor.register(connection, READ, bytearray())
                continue
            assert isinstance(key.fileobj, socket.socket)
            try:
                data = key.fileobj.recv(65536) if events & READ else b""
                key.data.extend(data)
                del key.data[: key.fileobj.send(key.data)]
            except BlockingIOError:
                pass
            except ConnectionError:
                data = b""
                events = READ
            if events & READ and not data:
                reactor.unregister(key.fileobj)
                key.fileobj.close()
                continue
            wish = READ | WRITE if key.data else READ
            if wish != key.events:
                reactor.modify(key.fileobj, wish, key.data)


def with_a_queue_of_work(listener: socket.socket) -> None:
    """Right: first takes all events of a wait into a queue, then handles them."""
    listener.setblocking(False)
    reactor = selectors.DefaultSelector()
    reactor.register(listener, READ)
    work: deque[selectors.SelectorKey] = deque()
    while True:
        work.extend(key for key, _events in reactor.select())
        while work:
            key = work.popleft()
            if key.fileobj is listener:
                if connection := accept(listener):
                    reactor.register(connection, READ, b"")
                continue
            assert isinstance(key.fileobj, socket.socket)
            rest = echo(key.fileobj, key.data)
            if rest is None:
                reactor.unregister(key.fileobj)
                key.fileobj.close()
            elif rest or key.data:
                reactor.modify(key.fileobj, WRITE if rest else READ, rest)
