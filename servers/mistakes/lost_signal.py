"""Signals tell that something happened, not how often, and nobody who isn't waiting yet.

Three servers of datagrams, driven by SIGIO. `one_each` reads one datagram for each signal: but SIGIO is not queued, and what
arrives while one is pending adds no second. `raced` reads all there is, but looks first and sleeps then: a signal that comes
between the look and pause() is handled and gone, and pause() waits for the next. (The gap is made GAP seconds wide here, so
that a lab hits it in seconds and not in days.) `mended` keeps the signal blocked, waits for it with sigwaitinfo, which also
takes one that came before, and reads to EAGAIN (UNP 25.3; man 7 signal, man 2 sigwaitinfo).
"""

import fcntl
import os
import signal
import socket
import time

from servers.kit.signals import block, take

HANDLING = 0.002  # seconds that each datagram takes
GAP = 0.02  # seconds between looking and sleeping


def arm(sock: socket.socket) -> None:
    """From now on each change of the socket is a SIGIO for this process."""
    fcntl.fcntl(sock, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(sock, fcntl.F_SETFL, fcntl.fcntl(sock, fcntl.F_GETFL) | os.O_ASYNC | os.O_NONBLOCK)


def answer(sock: socket.socket) -> bool:
    """Reads one datagram and echoes it; False if there is none."""
    try:
        data, sender = sock.recvfrom(65536)
    except (BlockingIOError, ConnectionError):
        return False
    time.sleep(HANDLING)
    sock.sendto(data, sender)
    return True


def one_each(sock: socket.socket) -> None:
    """A datagram for each signal."""
    block({signal.SIGIO})
    arm(sock)
    while True:
        take({signal.SIGIO})
        answer(sock)


def raced(sock: socket.socket) -> None:
    """Looks, and then sleeps."""
    told = True  # by no signal what came before the socket was armed

    def on_signal(_number: int, _frame: object) -> None:
        nonlocal told
        told = True

    signal.signal(signal.SIGIO, on_signal)
    arm(sock)
    while True:
        while told:
            told = False
            while answer(sock):
                pass
        time.sleep(GAP)
        signal.pause()


def mended(sock: socket.socket) -> None:
    """Takes the signal when it is ready for it, and then everything that lies there."""
    block({signal.SIGIO})
    arm(sock)
    while True:
        while answer(sock):
            pass
        take({signal.SIGIO})
