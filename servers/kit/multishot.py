"""io_uring's multishot requests: asked once, answered for each connection and for each arrival.

One accept request gives all connections, one receive request all the data of a connection. Since nobody can say beforehand
how much comes, the kernel takes the buffers from a group that the process has lent it, and each completion names the one
that it used. It is given back when its data has been sent. Each connection has a group of its own: who doesn't read his
echo runs out of his own buffers, and of nobody else's (man 2 io_uring_enter, IORING_RECV_MULTISHOT).
"""

from __future__ import annotations

import errno
import os
import socket
from collections import deque

from servers.kit.io_uring import ACCEPT, ACCEPT_MULTISHOT, BUFFER_SELECT, RECV, RECV_MULTISHOT, SEND, Buffers, Completion, Ring

COUNT, SIZE = 16, 4096  # buffers of each connection, and bytes in each


class Peer:
    """A connection: its buffers, those of them whose data is still to be sent, and what is under way."""

    def __init__(self, buffers: Buffers) -> None:
        self.buffers = buffers
        self.unsent: deque[tuple[int, int]] = deque()  # a buffer's number, and the bytes in it
        self.start = 0  # bytes of the first one that have been sent
        self.receiving = self.sending = self.over = False

    def received(self, done: Completion) -> None:
        """Data; or the end, an error, or no buffer left for what is there (-ENOBUFS), all of which end the request."""
        self.receiving = done.more
        if done.result > 0 and done.buffer is not None:
            self.unsent.append((done.buffer, done.result))
        else:
            self.over = self.over or done.result != -errno.ENOBUFS
            if done.buffer is not None:  # taken for data that didn't come
                self.buffers.give(done.buffer)

    def sent(self, done: Completion) -> None:
        """A part of the first buffer, or all of it; an error ends the connection, and the receive request with it."""
        self.sending = False
        self.start += max(done.result, 0)
        self.over = self.over or done.result < 0
        while self.unsent and (done.result < 0 or self.start == self.unsent[0][1]):
            self.buffers.give(self.unsent.popleft()[0])
            self.start = 0

    def go_on(self, ring: Ring, fd: int) -> bool:
        """Requests what can be requested. False when nothing is under way any more: the connection has ended."""
        if self.unsent and not self.sending:
            number, size = self.unsent[0]
            ring.request(SEND, fd, self.buffers.address(number) + self.start, size - self.start, data=fd << 1 | 1)
            self.sending = True
        if not self.receiving and not self.over and len(self.unsent) < COUNT:
            group = self.buffers.group
            ring.request(RECV, fd, 0, 0, data=fd << 1, flags=BUFFER_SELECT, priority=RECV_MULTISHOT, group=group)
            self.receiving = True
        return self.sending or self.receiving


def multishot(listener: socket.socket) -> None:
    """Asks once for connections and once for the data of each, and sends back what comes."""
    peers: dict[int, Peer] = {}
    spare: list[Buffers] = []  # of connections that have ended
    with Ring() as ring:
        ring.request(ACCEPT, listener.fileno(), 0, 0, data=listener.fileno() << 1, priority=ACCEPT_MULTISHOT)
        while True:
            for done in ring.wait():
                fd = done.data >> 1
                if fd == listener.fileno():
                    if not done.more:
                        ring.request(ACCEPT, fd, 0, 0, data=fd << 1, priority=ACCEPT_MULTISHOT)
                    if not accepted(done):
                        continue
                    fd = done.result
                    peers[fd] = Peer(spare.pop() if spare else Buffers(ring, len(peers), COUNT, SIZE))
                elif done.data & 1:
                    peers[fd].sent(done)
                else:
                    peers[fd].received(done)
                if not peers[fd].go_on(ring, fd):
                    spare.append(peers.pop(fd).buffers)
                    os.close(fd)


def accepted(done: Completion) -> bool:
    """Is it a connection? False if its client has given up already. Raises OSError: no descriptor left, for one."""
    if done.result >= 0:
        return True
    if done.result in (-errno.ECONNABORTED, -errno.EINTR, -errno.EAGAIN):
        return False
    raise OSError(-done.result, f"accept: {os.strerror(-done.result)}")
