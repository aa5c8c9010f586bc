"""Lost signals: a signal does not say how often something happened, and it wakes only a thread that already waits.

Three UDP servers, driven by SIGIO.
- `one_each` reads one datagram for each signal. But the kernel does not queue SIGIO: a datagram that arrives while the signal
  is pending adds no second signal.
- `raced` reads all datagrams, but it checks the socket first and sleeps then. A signal that arrives between the check and
  pause() runs the handler and is gone; pause() waits for the next signal. (The server sleeps GAP seconds there, so that a lab
  shows the race in seconds and not in days.)
- `mended` keeps the signal blocked and waits with sigwaitinfo, which also takes a signal that arrived earlier. Then it reads
  until EAGAIN (UNP 25.3; man 7 signal, man 2 sigwaitinfo).
"""

import fcntl
import os
import signal
import socket
import time

from servers.kit.signals import block, take

HANDLING = 0.002  # seconds of work for each datagram
GAP = 0.02  # seconds between the check and the sleep


def arm(sock: socket.socket) -> None:
    """Makes the kernel send SIGIO to this process for each change of the socket, from now on."""
    fcntl.fcntl(sock, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(sock, fcntl.F_SETFL, fcntl.fcntl(sock, fcntl.F_GETFL) | os.O_ASYNC | os.O_NONBLOCK)


def answer(sock: socket.socket) -> bool:
    """Reads and echoes one datagram. False if the socket has none."""
    try:
        data, sender = sock.recvfrom(65536)
    except (BlockingIOError, ConnectionError):
        return False
    time.sleep(HANDLING)
    sock.sendto(data, sender)
    return True


def one_each(sock: socket.socket) -> None:
    """Reads one datagram for each signal."""
    block({signal.SIGIO})
    arm(sock)
    while True:
        take({signal.SIGIO})
        answer(sock)


def raced(sock: socket.socket) -> None:
    """Checks the socket, and then sleeps."""
    notified = True  # no signal reports datagrams from before arm()

    def on_signal(_number: int, _frame: object) -> None:
        nonlocal notified
        notified = True

    signal.signal(signal.SIGIO, on_signal)
    arm(sock)
    while True:
        while notified:
            notified = False
            while answer(sock):
                pass
        time.sleep(GAP)
        signal.pause()


def mended(sock: socket.socket) -> None:
    """Reads until EAGAIN, then takes the next signal, which may already be pending."""
    block({signal.SIGIO})
    arm(sock)
    while True:
        while answer(sock):
            pass
        take({signal.SIGIO})
