"""io_uring: requests and completions in rings that process and kernel share, and one system call for many of both.

A receive is asked for before there is data; the completion comes when the data is in the process's buffer. Who copied it
depends: with data there already, the thread itself inside io_uring_enter; with data that came later, the thread again, woken
for just that work inside the same call; only with IOSQE_ASYNC or SQPOLL is it a thread of the kernel (man 7 io_uring).
"""

import ctypes
import os
import socket

from servers.kit.io_uring import ACCEPT, RECV, SEND, Ring

FLAGS = 0  # of each receive
SETUP = 0  # of the ring


class Peer:
    """A connection's buffer, and what of it is still to be sent."""

    def __init__(self) -> None:
        self.memory = ctypes.create_string_buffer(65536)
        self.address = ctypes.addressof(self.memory)
        self.start = self.left = 0


def serve(listener: socket.socket) -> None:
    """Asks for connections and for data, and goes on with each as it completes."""
    ring = Ring(flags=SETUP)
    peers: dict[int, Peer] = {}
    ring.request(ACCEPT, listener.fileno(), 0, 0, data=listener.fileno())
    while True:
        for done in ring.wait():
            fd = done.data
            if fd == listener.fileno():
                ring.request(ACCEPT, fd, 0, 0, data=fd)
                if done.result >= 0:
                    peer = peers[done.result] = Peer()
                    ring.request(RECV, done.result, peer.address, 65536, data=done.result, flags=FLAGS)
                continue
            peer = peers[fd]
            if done.result <= 0:  # the end of the connection, or its error
                del peers[fd]
                os.close(fd)
            elif peer.left == 0:  # that was a receive: send it back
                peer.start, peer.left = 0, done.result
                ring.request(SEND, fd, peer.address, peer.left, data=fd)
            else:
                peer.start, peer.left = peer.start + done.result, peer.left - done.result
                if peer.left:
                    ring.request(SEND, fd, peer.address + peer.start, peer.left, data=fd)
                else:
                    ring.request(RECV, fd, peer.address, 65536, data=fd, flags=FLAGS)
