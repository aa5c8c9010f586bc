"""io_uring: process and kernel share two rings, for requests and completions; one system call handles many of both.

The server requests a receive before there is data. The completion arrives when the data is in the process's buffer. The task
that copies the data differs:
- If the data is already in the socket, the server's thread copies it inside io_uring_enter.
- If the data arrives later, the kernel wakes the server's thread, and the thread copies the data inside io_uring_enter.
- With IOSQE_ASYNC (`io_uring:worker`) or SQPOLL (`io_uring:sqpoll`), a kernel thread copies the data.
With `io_uring:multishot`, one request gives many completions (servers/kit/multishot.py; man 7 io_uring).
"""

import ctypes
import errno
import os
import socket

from servers.kit.io_uring import ACCEPT, ASYNC, RECV, RECVMSG, SEND, SENDMSG, SQPOLL, Ring
from servers.kit.message import Message
from servers.kit.multishot import accepted, multishot
from servers.kit.requirements import missing

__all__ = ["missing", "multishot", "serve", "serve_udp", "sqpoll", "worker"]


class Peer:
    """The buffer of a connection, and the part of the buffer that is not sent yet."""

    def __init__(self) -> None:
        self.memory = ctypes.create_string_buffer(65536)
        self.address = ctypes.addressof(self.memory)
        self.start = self.left = 0


def serve(listener: socket.socket) -> None:
    """The process submits, waits and copies inside io_uring_enter."""
    with Ring() as ring:
        echo(listener, ring, receive_flags=0)


def worker(listener: socket.socket) -> None:
    """A worker thread of the kernel (iou-wrk) carries out each receive and copies the data. The process only waits.

    If there is no data, the worker of an older kernel sleeps on the socket. In newer kernels the worker registers a poll on the
    socket and is free for other work.
    """
    with Ring() as ring:
        echo(listener, ring, receive_flags=ASYNC)


def sqpoll(listener: socket.socket) -> None:
    """A kernel thread (iou-sqp) polls for requests, carries them out and copies the data. The process only waits."""
    with Ring(flags=SQPOLL) as ring:
        echo(listener, ring, receive_flags=0)


def echo(listener: socket.socket, ring: Ring, receive_flags: int) -> None:
    """Requests connections and data, and starts the next request of a connection when one completes."""
    peers: dict[int, Peer] = {}
    ring.request(ACCEPT, listener.fileno(), 0, 0, data=listener.fileno())
    while True:
        for done in ring.wait():
            fd = done.data
            if fd == listener.fileno():
                ring.request(ACCEPT, fd, 0, 0, data=fd)
                if accepted(done):
                    peer = peers[done.result] = Peer()
                    ring.request(RECV, done.result, peer.address, 65536, data=done.result, flags=receive_flags)
                continue
            peer = peers[fd]
            if done.result <= 0:  # the end of the connection, or its error
                del peers[fd]
                os.close(fd)
            elif peer.left == 0:  # a receive has completed: send the data back
                peer.start, peer.left = 0, done.result
                ring.request(SEND, fd, peer.address, peer.left, data=fd)
            else:
                peer.start, peer.left = peer.start + done.result, peer.left - done.result
                if peer.left:
                    ring.request(SEND, fd, peer.address + peer.start, peer.left, data=fd)
                else:
                    ring.request(RECV, fd, peer.address, 65536, data=fd, flags=receive_flags)


def serve_udp(sock: socket.socket) -> None:
    """Makes one request at a time, so the datagrams keep their order. A full send buffer delays the send."""
    message = Message()
    with Ring() as ring:
        ring.request(RECVMSG, sock.fileno(), message.room(), 1, data=RECVMSG)
        while True:
            for done in ring.wait():
                if done.data == RECVMSG and done.result >= 0:
                    size = done.result
                    ring.request(SENDMSG, sock.fileno(), message.echo(size), 1, data=SENDMSG)
                elif done.data == SENDMSG and done.result == -errno.ECONNREFUSED:  # the error of an earlier send
                    ring.request(SENDMSG, sock.fileno(), message.echo(size), 1, data=SENDMSG)
                else:
                    ring.request(RECVMSG, sock.fileno(), message.room(), 1, data=RECVMSG)
