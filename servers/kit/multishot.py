"""io_uring's multishot requests: one request gives a completion for each connection, or for each arrival of data.

One accept request gives all connections. One receive request gives all data of a connection. The amount of data is not known
beforehand. So the process lends the kernel a group of buffers, the kernel takes buffers from the group, and each completion
names its buffer. The process gives the buffer back when it has sent the data. Each connection has its own group: a client that
does not read its echo uses up its own buffers only (man 2 io_uring_enter, IORING_RECV_MULTISHOT).
"""

from __future__ import annotations

import errno
import os
import socket
from collections import deque

from servers.kit.io_uring import ACCEPT, ACCEPT_MULTISHOT, BUFFER_SELECT, RECV, RECV_MULTISHOT, SEND, Buffers, Completion, Ring

COUNT, SIZE = 16, 4096  # buffers of each connection, and bytes in each


class Peer:
    """A connection: its buffers, the buffers with unsent data, and the unfinished requests."""

    def __init__(self, buffers: Buffers) -> None:
        self.buffers = buffers
        self.unsent: deque[tuple[int, int]] = deque()  # the number of a buffer, and the bytes in it
        self.start = 0  # bytes of the first buffer that are sent
        self.receiving = self.sending = self.over = False

    def received(self, done: Completion) -> None:
        """A receive completed: with data, or with the end, an error, or no free buffer (-ENOBUFS), which end the request."""
        self.receiving = done.more
        if done.result > 0 and done.buffer is not None:
            self.unsent.append((done.buffer, done.result))
        else:
            self.over = self.over or done.result != -errno.ENOBUFS
            if done.buffer is not None:  # the kernel took it, but no data came
                self.buffers.give(done.buffer)

    def sent(self, done: Completion) -> None:
        """A send completed: for a part of the first buffer or for all of it. An error ends the connection."""
        self.sending = False
        self.start += max(done.result, 0)
        self.over = self.over or done.result < 0
        while self.unsent and (done.result < 0 or self.start == self.unsent[0][1]):
            self.buffers.give(self.unsent.popleft()[0])
            self.start = 0

    def go_on(self, ring: Ring, fd: int) -> bool:
        """Makes the next requests. False if no request is unfinished: the connection has ended."""
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
    """Requests connections once, and the data of each connection once. Sends all data back."""
    peers: dict[int, Peer] = {}
    spare: list[Buffers] = []  # from connections that have ended
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
    """Whether the completion is a connection. False if the client has given up already. Raises OSError for other errors."""
    if done.result >= 0:
        return True
    if done.result in (-errno.ECONNABORTED, -errno.EINTR, -errno.EAGAIN):
        return False
    raise OSError(-done.result, f"accept: {os.strerror(-done.result)}")
