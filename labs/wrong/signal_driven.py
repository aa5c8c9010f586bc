"""Wrong for lab signal_driven: each function is a signal-driven server with one fault that a student could make.

`WRONG` has, for each of them, words that the evidence of a failed check must contain. `RIGHT` names servers that are written in
another way than servers/signal_driven.py, and are right: the lab passes on them.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator

from servers.kit.echo import accept, drain
from servers.kit.signals import block, take
from servers.kit.system import system_call
from servers.signal_driven import LOST, READY, arm

WRONG = {
    "polls_signals": "the wait returned at once with nothing ready",
    "short_time_out": "in rt_sigtimedwait ended because a time-out expired",
    "polls_sockets": "a read or accept returned EAGAIN",
    "waits_in_select": "the thread slept elsewhere: pselect6",
    "sleeps_between_polls": "in clock_nanosleep ended because a time-out expired",
    "reads_once": "had unread data while the thread slept in its wait",
    "blocking_sockets": "in recvfrom, on the socket's queue",
    "slow_handler": "in clock_nanosleep",
    "accepted_without_o_async": "3 of 3 accepted connections have no O_ASYNC",
    "no_owner": "no fcntl named an owner (F_SETOWN)",
    "signal_ignored": "a packet's signal ended 0 of 1 sleep in pause",
}
RIGHT = ("plain_sigio", "handler", "signal_descriptor")


class Connections:
    """The open connections, and what is not sent of each; `serve` reads one of them by `move` (echo or drain)."""

    def __init__(self, listener: socket.socket, arms: Callable[[socket.socket], None] = arm) -> None:
        self.listener, self.arms = listener, arms
        self.open: dict[int, socket.socket] = {}
        self.unsent: dict[int, bytes] = {}

    def accept(self) -> None:
        """Accepts all connections that wait, and reads each of them once."""
        while connection := accept(self.listener):
            self.arms(connection)
            self.open[connection.fileno()] = connection
            self.serve(connection.fileno())

    def serve(self, fd: int, move: Callable[[socket.socket, bytes], bytes | None] = drain) -> None:
        """Serves the connection (or accepts, if the descriptor is the listener's)."""
        if fd == self.listener.fileno():
            self.accept()
        elif fd in self.open:
            rest = move(self.open[fd], self.unsent.pop(fd, b""))
            if rest is None:
                self.open.pop(fd).close()
            elif rest:
                self.unsent[fd] = rest

    def serve_all(self) -> None:
        """Serves the listener and every connection."""
        for fd in (self.listener.fileno(), *self.open):
            self.serve(fd)


def start(listener: socket.socket, arms: Callable[[socket.socket], None] = arm) -> Connections:
    """Blocks the signals, arms the listener, and accepts who is there."""
    block({READY, LOST})
    listener.setblocking(False)
    arm(listener)
    connections = Connections(listener, arms)
    connections.accept()
    return connections


def reported(connections: Connections, time_out: float | None) -> Iterator[int]:
    """The descriptors that a signal reports, if one comes before the time-out."""
    signals = {READY, LOST, signal.SIGTERM, signal.SIGINT}
    info = signal.sigwaitinfo(signals) if time_out is None else signal.sigtimedwait(signals, time_out)
    if info and info.si_signo in (signal.SIGTERM, signal.SIGINT):
        raise SystemExit
    if info:
        yield from [info.si_status] if info.si_signo == READY else [connections.listener.fileno(), *connections.open]


def polls_signals(listener: socket.socket) -> None:
    """Asks with a time-out of 0 whether a signal is pending, again and again."""
    connections = start(listener)
    while True:
        for fd in reported(connections, 0):
            connections.serve(fd)


def short_time_out(listener: socket.socket) -> None:
    """Waits for a signal for 1 ms at most, again and again."""
    connections = start(listener)
    while True:
        for fd in reported(connections, 0.001):
            connections.serve(fd)


def polls_sockets(listener: socket.socket) -> None:
    """Sets O_ASYNC, ignores the signal, and reads all sockets in a loop."""
    connections = start(listener)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
    while True:
        connections.serve_all()


def sleeps_between_polls(listener: socket.socket) -> None:
    """Leaves the signals pending, and reads all sockets every 2 ms."""
    connections = start(listener)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
    while True:
        connections.serve_all()
        time.sleep(0.002)


def waits_in_select(listener: socket.socket) -> None:
    """Sets O_ASYNC, and waits in select nevertheless."""
    connections = start(listener)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
    while True:
        for fd in select.select([listener.fileno(), *connections.open], [], [])[0]:
            connections.serve(fd)


def reads_once(listener: socket.socket) -> None:
    """Reads at most 48 bytes for each signal: the kernel sends no further signal for the rest."""

    def read_some(connection: socket.socket, unsent: bytes) -> bytes | None:
        try:
            data = unsent or connection.recv(48)
        except BlockingIOError:
            return b""
        return data[connection.send(data) :] if data else None

    connections = start(listener)
    while True:
        connections.serve(take({READY, LOST}).si_status, read_some)


def blocking_sockets(listener: socket.socket) -> None:
    """Sets O_ASYNC without O_NONBLOCK on what it accepts: the read after the last byte sleeps."""

    def arm_blocking(connection: socket.socket) -> None:
        arm(connection)
        fcntl.fcntl(connection, fcntl.F_SETFL, fcntl.fcntl(connection, fcntl.F_GETFL) & ~os.O_NONBLOCK)

    connections = start(listener, arm_blocking)
    while True:
        for fd in reported(connections, None):
            connections.serve(fd)


def slow_handler(listener: socket.socket) -> None:
    """Sleeps for 3 ms before it serves a connection."""
    connections = start(listener)
    while True:
        for fd in reported(connections, None):
            time.sleep(0.003)
            connections.serve(fd)


def accepted_without_o_async(listener: socket.socket) -> None:
    """Sets O_ASYNC on the listener only. A connection does not inherit it."""
    connections = start(listener, arms=lambda _connection: None)
    while True:
        for fd in reported(connections, None):
            connections.serve(fd)


def no_owner(listener: socket.socket) -> None:
    """Sets O_ASYNC and the signal, but names no process that gets it."""
    block({READY, LOST})
    listener.setblocking(False)
    fcntl.fcntl(listener, fcntl.F_SETSIG, READY)
    fcntl.fcntl(listener, fcntl.F_SETFL, fcntl.fcntl(listener, fcntl.F_GETFL) | os.O_ASYNC)
    connections = Connections(listener)
    while True:
        for fd in reported(connections, None):
            connections.serve(fd)


def signal_ignored(listener: socket.socket) -> None:
    """Ignores the signal, and pauses until it comes."""
    signal.signal(READY, signal.SIG_IGN)
    listener.setblocking(False)
    arm(listener)
    connections = Connections(listener)
    connections.accept()
    while True:
        signal.pause()
        connections.serve_all()


def plain_sigio(listener: socket.socket) -> None:
    """Right: SIGIO does not say which socket, and several events may be one signal. So each signal serves all sockets."""

    def arm_plain(watched: socket.socket) -> None:
        fcntl.fcntl(watched, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(watched, fcntl.F_SETFL, fcntl.fcntl(watched, fcntl.F_GETFL) | os.O_ASYNC | os.O_NONBLOCK)

    block({signal.SIGIO})
    arm_plain(listener)
    connections = Connections(listener, arm_plain)
    connections.accept()
    while True:
        take({signal.SIGIO})
        connections.serve_all()


def handler(listener: socket.socket) -> None:
    """Right: a handler notes the signal; sigsuspend unblocks the signal and sleeps in one step, so that none is lost."""
    came: list[int] = []
    connections = start(listener)
    signal.signal(READY, lambda number, _frame: came.append(number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
    libc = ctypes.CDLL(None)
    nothing_blocked = ctypes.create_string_buffer(128)  # sigset_t
    while True:
        libc.sigsuspend(nothing_blocked)
        if came:
            came.clear()
            connections.serve_all()


def signal_descriptor(listener: socket.socket) -> None:
    """Right: a signalfd hands out the signals, and the thread sleeps in read of this descriptor."""
    connections = start(listener)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
    wanted = sum(1 << number - 1 for number in (READY, LOST)).to_bytes(8, "little")
    signals = system_call("signalfd4", -1, ctypes.create_string_buffer(wanted, 8), 8, 0)
    while True:
        os.read(signals, 128)
        connections.serve_all()
